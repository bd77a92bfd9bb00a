import Files
import X86

/// A kdump-compressed file: `dump-guest-memory` with a format kdump-zlib, -lzo or -snappy, or makedumpfile.
struct Kdump {
  let memory: KdumpMemory
  let ranges: [Range<PhysicalAddress>]
  let compression: KdumpCompression?
  let isFlattened: Bool
  let notes: CoreNotes
  let problems: [FileError]

  /// Whether a file begins as such a dump does, or as its predecessor.
  static func isKdump(_ bytes: RawSpan) -> Bool {
    [KdumpHeader.magic, KdumpHeader.diskdumpMagic, DumpFile.flattenedMagic].contains { bytes.hasPrefix($0) }
  }

  init(_ memory: MappedMemory) throws(FileError) {
    let file = try DumpFile(memory)
    let header = try KdumpHeader(file)
    let pages = try KdumpPages(header, in: file)
    guard pages.bitmap.count > 0 else {
      throw file.problem ?? FileError("a kdump without a page; dump the guest again: dump-guest-memory FILE")
    }
    self.memory = KdumpMemory(pages)
    ranges = try pages.bitmap.ranges()
    compression = header.compression
    isFlattened = file.isFlattened
    notes = CoreNotes(header, in: file)
    var problems = [file.problem].compactMap(\.self) + notes.problems
    if header.isIncomplete {
      problems.append(FileError("the dump is incomplete: its writer ran out of space; make room and dump again"))
    }
    if header.isPart {
      problems.append(
        FileError("one part of a dump that was split; put them together: makedumpfile --reassemble PART... FILE"))
    } else if problems.isEmpty, let problem = pages.problemAtEnd {
      problems.append(problem)
    }
    self.problems = problems
  }
}

extension CoreNotes {
  /// Reads the notes that QEMU and makedumpfile put after the second head.
  fileprivate init(_ header: KdumpHeader, in file: DumpFile) {
    self.init()
    let (offset, size) = header.notes
    guard size > 0 else { return }
    do throws(FileError) {
      guard let count = Int(exactly: size), let place = file.place(of: offset) else {
        throw FileError("the notes of the dump lie beyond the end of the file: it is cut off; copy it again")
      }
      try file.withBytes(at: offset, count: count, "the notes of the dump", areWritten: true) { read($0, base: place) }
    } catch {
      problems.append(error)
    }
  }
}
