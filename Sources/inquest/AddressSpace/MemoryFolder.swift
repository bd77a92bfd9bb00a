import Files
import FoundationEssentials
import GuestMemory
import X86

/// A folder of pages, as a case has them: each file holds physical memory from the address on that is its name, in
/// hexadecimal (`0x106000.bin`).
///
/// Other files are none of its business.
struct MemoryFolder {
  let images: [MemoryImage]

  /// Nil where there is no folder, or none with pages.
  init?(at path: String) throws(Failure) {
    // Not a folder: there is nothing to list.
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    var images: [MemoryImage] = []
    for name in names.sorted() {
      guard name.hasPrefix("0x"), name.hasSuffix(".bin"),
        let address = HexadecimalArgument(argument: String(name.dropLast(4)))
      else { continue }
      images.append(
        MemoryImage(try FileInput(fileAt: "\(path)/\(name)").memory, at: PhysicalAddress(address.value)))
    }
    guard !images.isEmpty else { return nil }
    self.images = images
  }
}
