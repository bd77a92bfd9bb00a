import QEMU
import X86

/// The records of a Linux kernel's log, one after the other in memory: an identifier, an unsigned long, that counts up by one, and the text without
/// its newline, padded to whole longs (kernel/printk/printk_ringbuffer.c: struct prb_data_block, data_alloc, 5.10 to 6.19).
struct KernelLog {
  /// The kernel's lines, oldest first, without their times.
  let lines: [String]

  private static let mostRecords = 96
  private static let mostBytes = 16 << 10
  /// printk's own limit for a line (LOG_LINE_MAX, 1024 less a prefix).
  private static let longestRecord = 1024
  /// Empty lines have an identifier and no block.
  private static let mostEmpty: UInt64 = 4

  /// The records up to the one whose text begins at `address`; nil where it is no record that follows another.
  ///
  /// - Parameter longSize: 8 in kernels of 64 bits, 4 in those of 32.
  init?(endingAt address: PhysicalAddress, longSize: Int, in memory: any PhysicalMemory) {
    let start = address.rawValue > UInt64(Self.mostBytes) ? address.rawValue - UInt64(Self.mostBytes) : 0
    let behind = UInt64(Self.longestRecord)
    guard address.rawValue % UInt64(longSize) == 0, address.rawValue >= UInt64(longSize),
      let (first, bytes) = Self.bytes(from: start, to: address.rawValue + behind, around: address.rawValue, in: memory)
    else { return nil }
    func long(at offset: Int) -> UInt64 { (0..<longSize).reversed().reduce(0) { $0 << 8 | UInt64(bytes[offset + $1]) } }
    var end = Int(address.rawValue - first) - longSize
    guard end >= 0 else { return nil }
    var identifier = long(at: end)
    var found = [PanicMessage.line(bytes[(end + longSize)...], isRecord: true)]
    while found.count < Self.mostRecords {
      let before = stride(from: end - 2 * longSize, through: max(end - Self.longestRecord, 0), by: -longSize)
      guard
        let previous = before.first(where: { (1...Self.mostEmpty).contains(identifier &- long(at: $0)) })
      else { break }
      found.append(PanicMessage.line(bytes[(previous + longSize)..<end], isRecord: true))
      (end, identifier) = (previous, long(at: previous))
    }
    guard found.count > 1 else { return nil }
    lines = found.reversed()
  }

  /// What can be read without a gap around an address, with where it begins.
  private static func bytes(
    from start: UInt64, to end: UInt64, around address: UInt64, in memory: any PhysicalMemory
  ) -> (UInt64, [UInt8])? {
    var (first, bytes): (UInt64, [UInt8]) = (start, [])
    for page in stride(from: start & ~0xFFF, to: end, by: 0x1000) {
      let (from, to) = (max(page, start), min(page + 0x1000, end))
      if let part = try? memory.bytes(at: PhysicalAddress(from), count: Int(to - from)) {
        bytes += part
      } else if to <= address {
        (first, bytes) = (to, [])
      } else {
        break
      }
    }
    return first + UInt64(bytes.count) > address ? (first, bytes) : nil
  }
}

extension KernelLog {
  /// What follows the account of an error (kernel/panic.c: print_oops_end_marker), and what says that a processor is busy with one thing
  /// (kernel/watchdog.c: watchdog_timer_fn; Linux 3.10 to 6.19).
  private static let marks = [
    "---[ end trace ", "watchdog: BUG: soft lockup - CPU#", "NMI watchdog: BUG: soft lockup - CPU#",
  ]

  private static let mostPlaces = 64

  private static let errors: Set<Statement.Kind> = [.guestOops, .kernelOops, .generalProtectionInHost, .softLockup]

  /// The records around the first error that the log tells of; nil where it tells of none.
  init?(ofErrorIn search: LinuxImageSearch, longSize: Int, memory: any PhysicalMemory) {
    var places: [UInt64] = []
    search.forEach(of: Self.marks.map { Array($0.utf8) }) { _, address, before, behind in
      if before != UInt8(ascii: " "), behind.first != UInt8(ascii: "%"), places.count < Self.mostPlaces {
        places.append(address)
      }
    }
    let plain = (memory as? any NotingMemory)?.plain ?? memory
    let found = places.sorted().first {
      KernelLog(endingAt: PhysicalAddress($0), longSize: longSize, in: plain)?.wordsOfError != nil
    }
    guard let found else { return nil }
    self.init(endingAt: PhysicalAddress(found), longSize: longSize, in: memory)
  }

  private var entries: [Sourced<QEMUMessage>] {
    Sourced.messages(of: QEMULog.parse(lines.joined(separator: "\n")), named: "the kernel's log")
  }

  /// The account of an error; nil where there is none.
  var wordsOfError: String? {
    let entries = entries
    if let (oops, _) = Scene.firstOops(in: entries), oops.isError { return oops.words }
    let statements = entries.compactMap { entry -> Statement? in
      if case .statement(let statement) = entry.value { statement } else { nil }
    }
    guard let error = statements.first(where: { Self.errors.contains($0.kind) }) else { return nil }
    // A kernel of 32 bits.
    let place = lines.first { $0.hasPrefix("EIP: ") }.map { ", \"\($0)\"" } ?? ""
    return "The kernel's log says: \"\(error.preceding)\(error.text)\"\(place)"
  }

  /// The lines before the last; nil where there are none.
  var lastLines: String? {
    let last = lines.dropLast().filter { !$0.isEmpty }.suffix(3)
    guard !last.isEmpty else { return nil }
    return "The kernel's log says before that: \(last.map { "\"\($0)\"" }.joined(separator: ", "))"
  }
}
