import ArgumentParser
import Files
import FoundationEssentials
import GuestImage
import SystemPackage
import Traces

/// Why Inquest itself could not do what was asked: exit status 1.
struct Failure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// Standard output and error, written to without a thought for errors: where nobody reads, nobody misses.
struct Stream {
  let descriptor: FileDescriptor

  func write(_ text: String) { write(Array(text.utf8)) }

  func write(_ bytes: [UInt8]) { _ = try? descriptor.writeAll(bytes) }
}

let standardOutput = Stream(descriptor: .standardOutput)
let standardError = Stream(descriptor: .standardError)

/// What messages call the file at `path`.
func nameOfFile(at path: String) -> String { path == "-" ? "standard input" : path }

/// What a citation, or a heading, calls the file at `path`: its name without the folders.
func citedName(_ path: String) -> String {
  path == "-" ? nameOfFile(at: path) : URL(filePath: path).lastPathComponent
}

extension FileInput {
  /// Opens the file at `path`; `-` is standard input.
  init(fileAt path: String) throws(Failure) {
    do throws(TraceFileError) {
      try self.init(FilePath(path))
    } catch {
      throw Failure("\(nameOfFile(at: path)): \(error)")
    }
  }
}

extension TraceFile {
  /// Opens the trace at `path`; `-` is standard input.
  init(fileAt path: String) throws(Failure) {
    let input = try FileInput(fileAt: path)
    do throws(TraceFileError) {
      try self.init(input)
    } catch {
      throw Failure("\(nameOfFile(at: path)): \(error)")
    }
  }
}

extension GuestImage {
  /// Reads the ELF file at `path`.
  init(fileAt path: String) throws(Failure) {
    let input = try FileInput(fileAt: path)
    do throws(ImageError) {
      try self.init(input.memory.bytes.text)
    } catch {
      throw Failure("\(nameOfFile(at: path)): \(error)")
    }
  }
}
