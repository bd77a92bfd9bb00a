import Capture
import GuestImage
import Investigation
import QEMU

/// Judges a guest each time it stands still.
final class Examination {
  let commandLine: QEMUCommandLine
  let image: GuestImage?
  /// What becomes of a guest that died.
  private let afterDeath: Resumption
  private let keeper: CaseKeeper?
  /// Gives back registers that are lost; nil where the guest is not to be run again.
  private let secondRun: SecondRun?
  private let show: (Verdict, GuestScene) throws -> Void
  /// The last examination of a guest that stood still.
  private(set) var last: (ending: GuestEnding, judgement: Judgement)?
  /// Whether the verdict has been shown, or why it could not be; nil as long as it was not.
  private var shown: Result<Void, any Error>?

  /// - Parameters:
  ///   - keeper: Keeps a guest that died as a case; nil for none.
  ///   - secondRun: Where the registers of a guest that died are lost, gets them from a second run; nil for none.
  ///   - show: Shows a verdict that is final.
  init(
    commandLine: QEMUCommandLine, image: GuestImage?, afterDeath: Resumption = .end, keeper: CaseKeeper? = nil,
    secondRun: SecondRun? = nil, show: @escaping (Verdict, GuestScene) throws -> Void = { _, _ in }
  ) {
    self.commandLine = commandLine
    self.image = image
    self.afterDeath = afterDeath
    self.keeper = keeper
    self.secondRun = secondRun
    self.show = show
  }

  private func present(_ judgement: Judgement) -> Result<Void, any Error> {
    defer { keeper?.keep(judgement.verdict, judgement.guest, judgement.scene, judgement.memory) }
    return Result { try show(judgement.verdict, judgement.guest) }
  }

  /// Whether a guest that was seen like this is to be judged.
  static func suspects(_ samples: [GuestSample]) -> Bool {
    Hang.isSuspected(samples.map { WatchedMoment($0, over: GuestScene.usualDoor) })
  }

  /// A dead guest is ended, for it would only begin again, or left as it stands, and the verdict is shown before QEMU
  /// takes its time to go; one that reset or turned off the machine goes its way.
  func examine(_ scene: GuestScene) -> Resumption {
    let judgement = judge(scene)
    // A guest that was only suspected goes on.
    if scene.ending == .stalled, judgement.verdict.outcome != .hung { return .carryOn }
    last = (scene.ending, judgement)
    guard judgement.verdict.outcome != .ended else { return .carryOn }
    shown = present(judgement)
    return afterDeath
  }

  private func judge(_ scene: GuestScene) -> Judgement {
    let judgement = Judgement(scene, of: commandLine, image: image)
    guard let secondRun, secondRun.isOfUse(to: judgement.verdict, on: judgement.scene) else { return judgement }
    standardError.write("inquest: KVM has cleared the registers; the guest is run again under TCG, which keeps them\n")
    switch secondRun.registers(agreeingWith: judgement.scene) {
    case .registers(let registers):
      var scene = scene
      scene.secondRun = registers
      return Judgement(scene, of: commandLine, image: image)
    case .none(let reason):
      standardError.write("inquest: that run does not help: \(reason)\n")
      return judgement
    }
  }

  /// The verdict on a run that is over, shown if it was not yet: the one from when the guest stood still, while its
  /// registers could be read, unless it went on after that and came to another end.
  func conclude(_ scene: GuestScene) throws -> Verdict {
    let judgement =
      last.flatMap { $0.ending == scene.ending ? $0.judgement : nil } ?? Judgement(scene, of: commandLine, image: image)
    try (shown ?? present(judgement)).get()
    return judgement.verdict
  }
}
