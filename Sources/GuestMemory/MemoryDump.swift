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
    /// What `dump-guest-memory` writes in a format of kdump, and makedumpfile; nil if its pages are not compressed.
    case kdump(KdumpCompression?, isFlattened: Bool)
    /// A copy of physical memory and nothing else.
    case rawImage

    /// For people.
    public var description: String {
      switch self {
      case .elfCore(let bits): "\(bits)-bit ELF core"
      case .kdump(let compression, let isFlattened):
        "kdump, \(compression?.rawValue ?? "not compressed")\(isFlattened ? ", flattened" : "")"
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
  public private(set) var problems: [FileError]

  /// Whether the content is that of a dump which can be recognised, rather than of some other file. A raw image cannot.
  public static func isDump(_ bytes: RawSpan) -> Bool { ELFHeader.isCore(bytes) || Kdump.isKdump(bytes) }

  /// Opens a dump. One that was compressed as a whole is opened as if it were not.
  public init(_ input: FileInput) throws(FileError) {
    if Kdump.isKdump(input.memory.bytes) {
      self.init(try Kdump(input.memory))
    } else if ELFHeader.isCore(input.memory.bytes) {
      self.init(try ELFCore(input.memory))
    } else {
      throw input.problem
        ?? FileError(
          "not a dump of a guest's memory: no ELF core and no kdump; for a raw image, say where it begins: "
            + "FILE@ADDRESS", at: 0)
    }
    if let problem = input.problem { problems.insert(problem, at: 0) }
  }

  private init(_ core: ELFCore) {
    format = .elfCore(bits: core.header.is64 ? 64 : 32)
    memory = core.memory
    ranges = core.memory.ranges
    processors = core.notes.processors
    threads = core.notes.threads
    problems = core.problems
  }

  private init(_ dump: Kdump) {
    format = .kdump(dump.compression, isFlattened: dump.isFlattened)
    memory = dump.memory
    ranges = dump.ranges
    processors = dump.notes.processors
    threads = dump.notes.threads
    problems = dump.problems
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
