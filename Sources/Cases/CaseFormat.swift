import SystemPackage

/// What a case folder is made of; docs/case.md describes it.
public enum CaseFormat {
  /// Raised when a file or a key changes its meaning, not when one is added.
  public static let version = 1

  /// The files of a case. Nothing else in the folder is looked at, and no name in a file leads anywhere.
  enum File: String, CaseIterable {
    /// What is known of the run, and what the other files are.
    case document = "case.json"
    /// The verdict when the case was made.
    case verdict = "verdict.json"
    /// The monitor's `info registers -a`.
    case registers = "registers.txt"
    /// The same of a second run, under TCG, where KVM had cleared them.
    case registersOfSecondRun = "registers-second-run.txt"
    /// In the form of the monitor's `info mtree -f`.
    case memoryMap = "memory-map.txt"
    /// The last of QEMU's standard error.
    case standardError = "qemu-stderr.txt"
    /// The last of the log that Inquest asked QEMU for.
    case log = "qemu.log"
    /// The last of the interrupts that QEMU logged of a guest that seemed to hang.
    case interruptLog = "qemu-interrupts.log"
    /// What such a guest was seen to do before: JSON.
    case samples = "samples.json"
    /// The VGA's text screen, as lines.
    case textScreen = "screen.txt"
    /// The last of KVM's events.
    case trace = "trace.dat"
    /// The guest's memory, or what was read of it.
    case memory = "memory.core"
    /// The guest's own program.
    case image = "kernel.elf"

    /// The most bytes that are read of it.
    var limit: Int {
      switch self {
      case .document, .verdict, .registers, .registersOfSecondRun, .memoryMap,
        .standardError, .log, .interruptLog,
        .samples, .textScreen:
        16 << 20
      case .trace: 1 << 30
      case .memory: 1 << 44
      case .image: 1 << 30
      }
    }

    /// Whether names and addresses can be replaced in it without harm.
    var isText: Bool {
      switch self {
      case .document, .verdict, .registers, .registersOfSecondRun, .memoryMap,
        .standardError, .log, .interruptLog,
        .samples, .textScreen:
        true
      case .trace, .memory, .image: false
      }
    }
  }

  /// An image larger than this is named in a case and not copied.
  public static let largestImage: UInt64 = 64 << 20
  /// How many events a case is read with at most.
  static let mostEvents = 1 << 20
}

/// The sentence for an errno.
func errorText(_ code: Int32) -> String { Errno(rawValue: code).description }
