import Capture
import GuestImage
import GuestMemory
import Investigation
import QEMU

/// A verdict on a guest, and what it was given on.
struct Judgement {
  let guest: GuestScene
  let scene: Scene
  /// The scene's memory, which notes what was read of it.
  let memory: RecordingMemory
  let verdict: Verdict

  init(_ guest: GuestScene, of commandLine: QEMUCommandLine, image: GuestImage?) {
    self.guest = guest
    var scene = Scene(guest, of: commandLine, image: image)
    memory = RecordingMemory(guest.memory)
    scene.memory = memory
    self.scene = scene
    verdict = Investigator.verdict(on: scene)
  }
}
