import Capture
import GuestImage
import GuestMemory
import Investigation
import QEMU
import X86

/// Runs a guest again under TCG, which keeps the registers of a triple fault, where KVM on AMD has cleared them.
///
/// What the two runs left in memory is compared (``Investigation/SecondRunAgreement``): only where they agree are the registers taken for the first
/// one's. What they mean is then worked out in the first one's memory, by the rules of the processor that ran it.
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

  /// - Parameters:
  ///   - guest: The guest as it stands, with its memory.
  ///   - scene: What is known of it.
  func registers(agreeingWith guest: GuestScene, _ scene: Scene) -> Result {
    let outcome: GuestOutcome
    var result: Result?
    do throws(CaptureError) {
      outcome = try GuestRun(commandLine.underTCG.leavingNoTrace, options: runOptions).run { second in
        guard second.ending == .reset else { return .carryOn }
        result = Self.registers(of: second, agreeingWith: scene)
        return .end
      }
    } catch {
      return .none("it could not be run: \(error)")
    }
    return result ?? .none(Self.whyAlive(outcome.ending))
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

  /// The registers of the second run, while its guest stands still.
  private static func registers(of second: GuestScene, agreeingWith scene: Scene) -> Result {
    guard second.logsTripleFaults else {
      return .none("-D keeps QEMU's log, which tells a triple fault from another reset")
    }
    guard QEMULog.parse(utf8: second.log).contains(where: { $0.message == .tripleFault }) else {
      return .none("it asked for a reset there")
    }
    let processors = second.registers.map { registers in
      ObservedProcessor.all(in: QEMULog.parse(registers)) { _ in .registers("QMP: info registers") }
    }
    guard let registers = second.registers, let processor = processors?.first else {
      return .none("QEMU did not show its registers")
    }
    let agreement = SecondRunAgreement(scene, with: processor, in: second.memory)
    return agreement.disagreement.map(Result.none) ?? .registers(registers)
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
