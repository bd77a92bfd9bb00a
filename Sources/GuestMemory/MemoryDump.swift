public import Files
public import X86

/// A guest's memory and registers out of a file that somebody made of them, recognised by its content.
///
/// The file is mapped, not read: a dump of any size opens at once.
public struct MemoryDump: Sendable {
  /// How a dump is written.
  public enum Format: Hashable, Sendable, CustomStringConvertible {
    /// What `dump-guest-memory` writes unless told otherwise.
    case elfCore(bits: Int)
    /// A copy of physical memory and nothing else.
    case rawImage

    /// For people.
    public var description: String {
      switch self {
      case .elfCore(let bits): "\(bits)-bit ELF core"
      case .rawImage: "raw image"
      }
    }
  }

  public let format: Format
  public let memory: any PhysicalMemory & Sendable
  /// The vCPUs in the order of their indices; EFER is not in any dump. Empty if the dump was not made by QEMU.
  public let processors: [ProcessorState]
  /// The vCPUs as a debugger sees them; all that there is in a dump that was not made by QEMU.
  public let threads: [ThreadStatus]
  /// The physical memory that is in the dump, ascending, with a gap between each two.
  public let ranges: [Range<PhysicalAddress>]
  /// What is damaged or missing. All else was read.
  public let problems: [FileError]

  /// Whether the content is that of a dump which can be recognised, rather than of some other file. A raw image cannot.
  public static func isDump(_ bytes: RawSpan) -> Bool { ELFHeader.isCore(bytes) }

  /// Opens a dump. One that was compressed as a whole is opened as if it were not.
  public init(_ input: FileInput) throws(FileError) {
    guard Self.isDump(input.memory.bytes) else {
      throw input.problem
        ?? FileError(
          "not a dump of a guest's memory: no ELF core; give the base of a raw image as FILE@ADDRESS", at: 0)
    }
    let core = try ELFCore(input.memory)
    format = .elfCore(bits: core.header.is64 ? 64 : 32)
    memory = core.memory
    ranges = core.memory.ranges
    processors = core.notes.processors
    threads = core.notes.threads
    problems = [input.problem].compactMap(\.self) + core.problems
  }

  /// Memory out of raw images, the better ones first.
  public init(_ images: [MemoryImage]) throws(FileError) {
    let memory = try FileMemory(images)
    format = .rawImage
    self.memory = memory
    ranges = memory.ranges
    processors = []
    threads = []
    problems = []
  }
}
