import Capture
import GuestImage
import GuestMemory
import Investigation
import QEMU
import X86

/// Runs a guest again under TCG, which keeps the registers of a triple fault, where KVM on AMD has cleared them.
///
/// What the two runs left in memory is compared: only where they agree are the registers taken for the first one's. What they mean is then worked
/// out in the first one's memory, by the rules of the processor that ran it.
struct SecondRun {
  let commandLine: QEMUCommandLine
  /// As the guest was run before.
  let options: GuestRun.Options

  /// The registers at the death, or why there are none.
  enum Result {
    case registers(String)
    case none(String)
  }

  /// How long the second run may take at least; TCG is slower than KVM.
  private static let leastTime = Duration.seconds(20)

  /// Whether the registers of a guest with one processor are gone, and a second run may be made.
  func isOfUse(to verdict: Verdict, on scene: Scene) -> Bool {
    verdict.cause == nil && scene.ending == .reset && scene.accelerator?.value == .kvm && scene.hasLostRegisters
      && commandLine.processorCount == 1 && commandLine.obstacleToAnotherRun == nil
  }

  /// - Parameter first: The guest as it stands, with its memory.
  func registers(agreeingWith first: GuestScene) -> Result {
    let outcome: GuestOutcome
    var second: GuestScene?
    var disagreement: String?
    do throws(CaptureError) {
      outcome = try GuestRun(commandLine.underTCG.leavingNoTrace, options: runOptions).run { scene in
        guard scene.ending == .reset else { return .carryOn }
        second = scene
        disagreement = Self.disagreement(first, scene)
        return .end
      }
    } catch {
      return .none("it could not be run: \(error)")
    }
    guard let second, let registers = second.registers else {
      return .none(Self.whyAlive(outcome.ending))
    }
    return disagreement.map(Result.none) ?? .registers(registers)
  }

  private static func whyAlive(_ ending: GuestEnding) -> String {
    switch ending {
    case .refusedToStart: "QEMU does not start it there"
    case .interrupted: "it was interrupted"
    case .timedOut: "it had not died there when its time was over; --timeout gives it more"
    default: "it did not die there"
    }
  }

  private var runOptions: GuestRun.Options {
    var options = options
    options.timeLimit = max(options.timeLimit ?? .zero, Self.leastTime)
    options.stallTime = nil
    options.forwardsStandardError = false
    options.keepsStandardOutput = true
    options.doors = []
    return options
  }

  /// What speaks against the two being one death; nil where nothing does.
  private static func disagreement(_ first: GuestScene, _ second: GuestScene) -> String? {
    guard second.logsTripleFaults else { return "-D keeps QEMU's log, which tells a triple fault from another reset" }
    guard QEMULog.parse(utf8: second.log).contains(where: { $0.message == .tripleFault }) else {
      return "it asked for a reset there"
    }
    let processors = second.registers.map { QEMULog.parse($0) }.map { log in
      ObservedProcessor.all(in: log) { _ in .registers("QMP: info registers") }
    }
    guard let state = processors?.first?.state, let paging = Paging(state, rules: PagingRules()) else {
      return "QEMU did not show its registers"
    }
    let places: [(String, UInt64, Int)] = [
      ("code", state.instructionAddress.rawValue & ~0xFF, 256), ("stack", state.stackAddress, 128),
      ("GDT", state.gdtr.base.rawValue, min(Int(state.gdtr.limit) + 1, 256)),
      ("IDT", state.idtr.base.rawValue, min(Int(state.idtr.limit) + 1, 4096)),
    ]
    for (name, start, count) in places where count > 1 {
      func bytes(_ memory: CapturedMemory) -> [UInt8]? {
        try? paging.bytes(at: LinearAddress(start), count: count, for: PageAccess(.read, by: .supervisor), in: memory)
      }
      guard bytes(first.memory) == bytes(second.memory) else { return "its \(name) differs there" }
    }
    return nil
  }
}

extension QEMUCommandLine {
  /// Why the guest cannot be run again; nil if it can.
  var obstacleToAnotherRun: String? {
    if let option = optionsWithSideEffects.first {
      return
        "Not run: a second run could write to the host or needs what is gone, for \(option.text) is not held back by "
        + "-snapshot."
    }
    return startsPaused ? "Not run: with -S the guest waits for somebody to start it." : nil
  }
}
