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
///
/// Where the guest lives under TCG, or dies elsewhere, it is run once more and looked at at each access of a system register: what TCG lets pass and the
/// first run's processor refuses shows there (``Investigation/PassedRefusal``).
struct SecondRun {
  let commandLine: QEMUCommandLine
  /// As the guest was run before.
  let options: GuestRun.Options

  /// The registers at the death, or why there are none.
  enum Result {
    case registers(SecondRunRegisters)
    case none(String)
  }

  /// How long the second run may take at least; TCG is slower than KVM.
  private static let leastTime = Duration.seconds(20)
  /// A guest that gets nowhere for this long has come to its end.
  private static let stallTime = Duration.seconds(3)
  /// Code that is called for one register after another is looked at each time, up to this often.
  private static let visitsPerPlace = 32

  /// Whether the registers of a guest with one processor are gone, and a second run may be made.
  func isOfUse(to verdict: Verdict, on scene: Scene) -> Bool {
    verdict.cause == nil && scene.ending == .reset && scene.accelerator?.value == .kvm && scene.hasLostRegisters
      && commandLine.processorCount == 1 && commandLine.obstacleToAnotherRun == nil
  }

  /// - Parameter scene: What is known of the guest as it stands, with its memory.
  func registers(agreeingWith scene: Scene) -> Result {
    var death: Result?
    let outcome: GuestOutcome
    var options = runOptions
    options.listsCode = true
    do throws(CaptureError) {
      outcome = try GuestRun(line, options: options).run(suspect: Examination.suspects) { second in
        guard second.ending == .reset else { return second.ending == .stalled ? .end : .carryOn }
        death = Self.registers(of: second, agreeingWith: scene)
        return .end
      }
    } catch {
      return .none("it could not be run: \(error)")
    }
    let result = death ?? .none(Self.whyAlive(outcome.ending))
    guard case .none(let reason) = result else { return result }
    if case .interrupted = outcome.ending { return result }
    let places = PassedRefusal.places(in: QEMULog.parse(utf8: outcome.scene.log), of: scene.image)
    return registersBeforeRefusal(at: places, agreeingWith: scene).map { .registers($0) } ?? .none(reason)
  }

  private var line: QEMUCommandLine { commandLine.underTCG.leavingNoTrace }

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
    options.stallTime = Self.stallTime
    options.loggedAddresses = []
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
    guard let registers = second.registers, let processor = ObservedProcessor(ofSecondRun: second) else {
      return .none("QEMU did not show its registers")
    }
    let agreement = SecondRunAgreement(scene, with: processor, in: second.memory)
    return agreement.disagreement.map(Result.none) ?? .registers(SecondRunRegisters(text: registers, wentOn: false))
  }

  /// The registers before the one instruction that the first run can have died of, where TCG goes on.
  private func registersBeforeRefusal(at places: [LinearAddress], agreeingWith scene: Scene) -> SecondRunRegisters? {
    guard !places.isEmpty else { return nil }
    var options = runOptions
    options.breakpoints = places
    options.visitsPerBreakpoint = Self.visitsPerPlace
    var found: [SecondRunRegisters] = []
    let run = GuestRun(line, options: options)
    let outcome = try? run.run(
      look: { _, second in
        var secondScene = scene
        secondScene.memory = second.memory
        secondScene.takeFeatures(second.identity)
        guard let registers = second.registers, let processor = ObservedProcessor(ofSecondRun: second),
          let refusal = PassedRefusal(at: processor, in: scene, second: secondScene)
        else { return .carryOn }
        found.append(SecondRunRegisters(text: registers, wentOn: true))
        return refusal.isCertain ? .end : .carryOn
      }, suspect: Examination.suspects
    ) { second in second.ending == .reset || second.ending == .stalled ? .end : .carryOn }
    return outcome != nil && found.count == 1 ? found.first : nil
  }
}

extension ObservedProcessor {
  /// The one processor of a guest that is run again.
  fileprivate init?(ofSecondRun scene: GuestScene) {
    let processors = scene.registers.map { registers in
      Self.all(in: QEMULog.parse(registers)) { _ in .registers("QMP: info registers") }
    }
    guard let processor = processors?.first else { return nil }
    self = processor
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
