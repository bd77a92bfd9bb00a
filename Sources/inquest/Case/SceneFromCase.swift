import Cases
import GuestImage
import Investigation
import QEMU
import SystemPackage

/// A case among the files that were given.
struct CaseExhibit {
  let path: String
  private let record: Case

  /// Nil where there is no case at `path`.
  init?(at path: String) throws(Failure) {
    guard path != "-", Case.isCase(at: FilePath(path)) else { return nil }
    self.path = path
    do throws(CaseError) {
      record = try Case(at: FilePath(path))
    } catch {
      throw Failure("\(path): \(error)")
    }
  }

  /// What the case tells, but for the guest's own program.
  var scene: Scene { Scene(record.scene, of: record.commandLine, image: nil, host: record.host) }

  /// Gives the scene the guest's own program if it has none from elsewhere: the one in the case, or the file that the
  /// command line names, if it is still the same.
  func addImage(to scene: inout Scene) {
    guard let recorded = record.image else { return }
    if let image = scene.image {
      guard ImageIdentity(of: image) != recorded.identity else { return }
      tell("this is not the \(recorded.name) that the guest of \(path) ran: another build, or another file")
    } else if let contents = recorded.contents {
      scene.image = try? GuestImage(contents)
      if scene.image == nil { tell("\(path)/kernel.elf cannot be read as an ELF file") }
    } else if let kernel = record.commandLine.kernelPath, let image = try? GuestImage(fileAt: kernel),
      ImageIdentity(of: image) == recorded.identity
    {
      scene.image = image
    } else {
      tell("the guest's program is not in the case: inquest examine \(path) \(recorded.name)")
    }
  }

  private func tell(_ text: String) { standardError.write("inquest: \(text)\n") }
}
