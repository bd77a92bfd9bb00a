import Files
import X86

/// The registers that the notes of an ELF core or a kdump hold.
struct CoreNotes {
  /// From the notes that only QEMU writes, one for each vCPU in the order of their indices.
  private(set) var processors: [ProcessorState] = []
  /// From NT_PRSTATUS, one for each vCPU.
  private(set) var threads: [ThreadStatus] = []
  /// Whether there is a note that the kernel writes into the core of a process, and nobody into a machine's.
  private(set) var isOfProcess = false
  var problems: [FileError] = []

  /// NT_PRSTATUS; and NT_PRPSINFO, NT_AUXV, NT_SIGINFO and NT_FILE of a process (Linux include/uapi/linux/elf.h).
  private static let threadStatus: UInt32 = 1
  private static let processTypes: Set<UInt32> = [3, 6, 0x5349_4749, 0x4649_4C45]

  /// Reads notes one after the other as far as they are sound.
  ///
  /// - Parameter base: where `bytes` lie in the file.
  mutating func read(_ bytes: RawSpan, base: Int) {
    var reader = ByteReader(bytes, base: base)
    do throws(FileError) {
      // Fewer bytes than a head are padding.
      while reader.remaining >= 12 { try readNote(&reader) }
    } catch {
      problems.append(error)
    }
  }

  /// A note's head is the same in both classes; its name and contents are each padded to 4 bytes (QEMU's
  /// dump/dump.c: ELF_NOTE_SIZE).
  private mutating func readNote(_ reader: inout ByteReader) throws(FileError) {
    let nameSize = try reader.integer(UInt32.self, "the size of a note's name")
    let size = try reader.integer(UInt32.self, "the size of a note")
    let type = try reader.integer(UInt32.self, "the type of a note")
    let name = try reader.block(nameSize, "a note's name").cString
    try reader.skip(min(reader.remaining, Self.padding(nameSize)), "padding")
    let place = reader.fileOffset
    let contents = try reader.block(size, "the note \(name)")
    try reader.skip(min(reader.remaining, Self.padding(size)), "padding")
    do throws(FileError) {
      try add(name, type, ByteReader(contents, base: place))
    } catch {
      problems.append(error)
    }
  }

  private static func padding(_ size: UInt32) -> Int { Int((0 &- size) & 3) }

  private mutating func add(
    _ name: String, _ type: UInt32, _ contents: consuming ByteReader
  ) throws(FileError) {
    switch (name, type) {
    case ("QEMU", 0): processors.append(try ProcessorState(qemuNote: &contents))
    case ("CORE", Self.threadStatus): threads.append(try ThreadStatus(&contents))
    case ("CORE", let type): if Self.processTypes.contains(type) { isOfProcess = true }
    default: break
    }
  }
}
