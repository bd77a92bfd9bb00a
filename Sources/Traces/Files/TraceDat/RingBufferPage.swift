import Files

/// How the pages (sub-buffers) of a kernel's ring buffer are laid out: tracefs `events/header_page`.
struct RingBufferLayout: Hashable, Sendable {
  var byteOrder: ByteOrder
  /// The offset and size of `commit`, the kernel's `local_t`.
  var commitOffset = 8
  var commitSize: Int
  var dataOffset: Int
  /// The size of a whole page in bytes.
  var pageSize: Int

  /// The layout of a kernel whose `long` has this size, as it has been since Linux 2.6.31.
  init(machine: RecordingMachine, pageSize: Int) {
    byteOrder = machine.byteOrder
    commitSize = machine.longSize
    dataOffset = 8 + machine.longSize
    self.pageSize = pageSize
  }

  /// Takes from a header_page text what it says; a line that makes no sense changes nothing.
  mutating func apply(headerPage text: [UInt8]) {
    var pageEnd: Int?
    for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
      let parts = line.split(separator: ";").map { $0.drop { $0 == "\t" || $0 == " " } }
      guard let declaration = parts.first, let name = declaration.split(separator: " ").last,
        let offset = Self.value("offset:", in: parts), let size = Self.value("size:", in: parts)
      else { continue }
      switch name {
      case "commit" where (size == 4 || size == 8) && offset >= 8:
        commitOffset = offset
        commitSize = size
      case "data" where offset >= 12:
        dataOffset = offset
        pageEnd = offset + size
      default:
        break
      }
    }
    // Sub-buffers may be larger than the machine's pages (tracefs buffer_subbuf_size_kb).
    if let pageEnd, pageEnd > dataOffset, pageEnd <= Self.largestPage, pageEnd.nonzeroBitCount == 1 {
      pageSize = pageEnd
    }
  }

  private static func value(_ label: String, in parts: [Substring]) -> Int? {
    guard let part = parts.first(where: { $0.hasPrefix(label) }) else { return nil }
    guard let value = Int(part.dropFirst(label.utf8.count)), (0...largestPage).contains(value) else { return nil }
    return value
  }

  /// More than any kernel's largest sub-buffer.
  static let largestPage = 1 << 26

  /// Whether pages of this size can be read at all.
  var isUsable: Bool {
    pageSize > dataOffset && pageSize <= Self.largestPage && dataOffset >= commitOffset + commitSize
  }
}

/// Walks the events of one ring-buffer page (include/linux/ring_buffer.h: enum ring_buffer_type).
struct RingBufferPageCursor {
  enum Step {
    case event
    case end
    case damaged
  }

  /// Where the next entry lies, in the memory that holds the page.
  private(set) var position = 0
  /// Where the page's data end.
  private var end = 0
  /// The time of the current event, in the units of the clock.
  private(set) var time: UInt64 = 0
  /// The current event's record.
  private(set) var recordStart = 0
  private(set) var recordCount = 0

  init() {}

  init(data: Range<Int>, time: UInt64) {
    position = data.lowerBound
    end = data.upperBound
    self.time = time
  }

  private static let padding: UInt32 = 29
  private static let timeExtend: UInt32 = 30
  private static let absoluteTime: UInt32 = 31
  /// An absolute time stamp has 59 bits; the rest is that of the time before it
  /// (kernel/trace/ring_buffer.c: rb_fix_abs_ts, Linux 6.1).
  private static let absoluteMask: UInt64 = 1 << 59 - 1

  /// Goes to the next event. After `damaged`, `position` tells where, and the page is at its end.
  @inline(__always) mutating func next(in bytes: RawSpan, _ byteOrder: ByteOrder) -> Step {
    while position &+ 4 <= end {
      let header = bytes.load(UInt32.self, at: position, byteOrder)
      // Big endian has the bit fields the other way round.
      let typeLength = byteOrder == .littleEndian ? header & 31 : header >> 27
      let delta = UInt64(byteOrder == .littleEndian ? header >> 5 : header & (1 << 27 - 1))
      if typeLength &- 1 < 28 {
        let count = Int(typeLength) &* 4
        let start = position &+ 4
        guard count <= end &- start else { return damage() }
        time = time &+ delta
        recordStart = start
        recordCount = count
        position = start &+ count
        return .event
      }
      guard position &+ 8 <= end else {
        // Padding to the end of a page has no second word.
        if typeLength == Self.padding, delta == 0 { break }
        return damage()
      }
      let word = bytes.load(UInt32.self, at: position &+ 4, byteOrder)
      switch typeLength {
      case 0:
        // The word counts itself, and is rounded up to whole words (rb_update_event).
        let count = Int(word) &- 4
        let start = position &+ 8
        guard count >= 0, count <= end &- start else { return damage() }
        time = time &+ delta
        recordStart = start
        recordCount = count
        position = start &+ (count &+ 3) & ~3
        return .event
      case Self.padding:
        if delta == 0 {
          position = end
          return .end
        }
        // A discarded event. Its delta belongs to the time line; 1 is what stands where there is none. trace-cmd adds
        // it in any case (libtraceevent 1.7, kbuffer-parse.c: update_pointers), and so do we, to show its times.
        let count = Int(word)
        guard count >= 4, count <= end &- position &- 4 else { return damage() }
        time = time &+ delta
        position = position &+ 4 &+ (count &+ 3) & ~3
      case Self.timeExtend:
        time = time &+ (UInt64(word) << 27 &+ delta)
        position = position &+ 8
      default:
        let stamp = (UInt64(word) << 27 &+ delta) & Self.absoluteMask
        var full = time & ~Self.absoluteMask | stamp
        if full < time { full = full &+ 1 << 59 }
        time = full
        position = position &+ 8
      }
    }
    position = end
    return .end
  }

  private mutating func damage() -> Step {
    recordStart = position
    position = end
    return .damaged
  }
}
