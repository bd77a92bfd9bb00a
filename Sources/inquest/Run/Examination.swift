import Capture
import GuestImage
import Investigation
import QEMU

/// Judges a guest each time it stands still.
final class Examination {
  let commandLine: QEMUCommandLine
  let image: GuestImage?
  private let show: (Verdict, GuestScene) throws -> Void
  /// The last examination of a guest that stood still.
  private(set) var last: (ending: GuestEnding, verdict: Verdict)?
  /// What the last verdict is on.
  private(set) var lastScene: Scene?
  /// What becomes of a guest that died.
  private let afterDeath: Resumption
  /// Whether the verdict has been shown, or why it could not be; nil as long as it was not.
  private var shown: Result<Void, any Error>?

  /// - Parameter show: Shows a verdict that is final.
  init(
    commandLine: QEMUCommandLine, image: GuestImage?, afterDeath: Resumption = .end,
    show: @escaping (Verdict, GuestScene) throws -> Void = { _, _ in }
  ) {
    self.commandLine = commandLine
    self.image = image
    self.afterDeath = afterDeath
    self.show = show
  }

  func judge(_ scene: GuestScene) -> Verdict {
    let scene = Scene(scene, of: commandLine, image: image)
    lastScene = scene
    return Investigator.verdict(on: scene)
  }

  /// A dead guest is ended, for it would only begin again, or left as it stands, and the verdict is shown before QEMU takes its time to go; one
  /// that reset or turned off the machine goes its way.
  func examine(_ scene: GuestScene) -> Resumption {
    let verdict = judge(scene)
    last = (scene.ending, verdict)
    guard verdict.outcome != .ended else { return .carryOn }
    shown = Result { try show(verdict, scene) }
    return afterDeath
  }

  /// The verdict on a run that is over, shown if it was not yet: the one from when the guest stood still, while its
  /// registers could be read, unless it went on after that and came to another end.
  func conclude(_ scene: GuestScene) throws -> Verdict {
    let verdict = last.flatMap { $0.ending == scene.ending ? $0.verdict : nil } ?? judge(scene)
    try (shown ?? Result { try show(verdict, scene) }).get()
    return verdict
  }
}
