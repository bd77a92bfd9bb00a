import ArgumentParser
import Foundation
import GuestImage
import SystemPackage

/// Why Inquest itself could not do what was asked: exit status 1.
struct Failure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// Standard output and error, written to without a thought for errors: where nobody reads, nobody misses.
struct Stream {
  let descriptor: FileDescriptor

  func write(_ text: String) {
    var text = text
    _ = try? text.withUTF8 { bytes in try unsafe descriptor.writeAll(UnsafeRawBufferPointer(bytes)) }
  }
}

let standardOutput = Stream(descriptor: .standardOutput)
let standardError = Stream(descriptor: .standardError)

/// The contents of a file, or why it cannot be read.
func contents(ofFileAt path: String) throws(Failure) -> [UInt8] {
  do {
    let file = try FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
    return try file.closeAfter { try contents(of: file) }
  } catch let error as Errno {
    throw Failure("\(path): \(error)")
  } catch {
    throw Failure("\(path): \(error.localizedDescription)")
  }
}

/// All that can be read from a descriptor to its end.
func contents(of file: FileDescriptor) throws -> [UInt8] {
  var contents: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    // The kernel writes into the buffer's own storage.
    let count = unsafe try buffer.withUnsafeMutableBytes { unsafe try file.read(into: $0) }
    if count == 0 { return contents }
    contents += buffer[..<count]
  }
}

extension GuestImage {
  /// Reads the ELF file at `path`.
  init(fileAt path: String) throws(Failure) {
    let bytes = try contents(ofFileAt: path)
    do throws(ImageError) {
      try self.init(bytes)
    } catch {
      throw Failure("\(path): \(error)")
    }
  }
}
