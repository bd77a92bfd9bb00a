import FileBuilding
import Files
import Testing

@Suite struct ByteReaderTests {
  @Test func readsOneAfterTheOther() throws {
    let memory = try MappedMemory.holding([1, 2, 3, 4, 0x61, 0x62, 0, 9, 8])
    var reader = ByteReader(memory.bytes, byteOrder: .bigEndian, base: 100)
    let integer = try reader.integer(UInt16.self, "a")
    try reader.skip(2, "b")
    let text = try reader.cString("c")
    let offset = reader.fileOffset
    let rest = try reader.block(2, "d").copied
    #expect(integer == 0x102)
    #expect(text == "ab")
    #expect(offset == 107)
    #expect(rest == [9, 8])
  }

  /// What goes wrong at the second of three bytes.
  private func error(of step: (inout ByteReader) throws(FileError) -> Void) throws -> FileError? {
    let memory = try MappedMemory.holding([1, 2, 3])
    var reader = ByteReader(memory.bytes, at: 1, base: 100)
    do throws(FileError) {
      try step(&reader)
      return nil
    } catch {
      return error
    }
  }

  @Test func saysWhatIsMissingAndWhere() throws {
    let integer = try error { reader throws(FileError) in _ = try reader.integer(UInt32.self, "a word") }
    #expect(integer == FileError("the data ends where a word should be", at: 101))
    let block = try error { reader throws(FileError) in try reader.skip(3, "a block") }
    #expect(block == FileError("a block should take 3 bytes but the data ends after 2", at: 101))
    let impossible = try error { reader throws(FileError) in try reader.skip(-1, "a block") }
    #expect(impossible == FileError("the size of a block is impossible", at: 101))
    let text = try error { reader throws(FileError) in _ = try reader.cString("a name") }
    #expect(text == FileError("a name has no end", at: 101))
    let words = try error { reader throws(FileError) in _ = try reader.words(UInt64.max, "words") }
    #expect(words == FileError("the data ends inside words", at: 101))
  }

  @Test(arguments: [(-1, 0), (0, 0), (3, 3), (4, 3)]) func startsInside(offset: Int, start: Int) throws {
    let memory = try MappedMemory.holding([1, 2, 3])
    let found = ByteReader(memory.bytes, at: offset).offset
    #expect(found == start)
  }
}
