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
    return try Array(Data(contentsOf: URL(filePath: path), options: .mappedIfSafe))
  } catch let error as CocoaError where error.code == .fileReadNoSuchFile {
    throw Failure("\(path): no such file")
  } catch let error as CocoaError where error.code == .fileReadNoPermission {
    throw Failure("\(path): you may not read it")
  } catch {
    throw Failure("\(path): \(error.localizedDescription)")
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
