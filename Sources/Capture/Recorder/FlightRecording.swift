import CLinux

/// The last events of each of QEMU's threads, as the kernel wrote them.
public struct FlightRecording: Sendable {
  public var tracepoints: [Tracepoint]
  /// All threads' events, by time.
  public var samples: [PerfSample]
  /// The threads' names at the start.
  public var threadNames: [Int32: String]
  /// Whether there were older events, which were overwritten or left out.
  public var isCut: Bool
  public var account: Account

  public init(
    tracepoints: [Tracepoint], samples: [PerfSample], threadNames: [Int32: String], isCut: Bool, account: Account
  ) {
    self.tracepoints = tracepoints
    self.samples = samples
    self.threadNames = threadNames
    self.isCut = isCut
    self.account = account
  }

  /// How many of a thread's last events a verdict needs: a delivery that fails takes a few dozen.
  static let eventsOfADeath = 4096
  /// And a repetition: a fault and its handler take some 75 events where KVM emulates all (measured with kvm_pvm).
  static let eventsOfAHang = 32768

  /// How the recording was made, and how much of what happened it has.
  public struct Account: Hashable, Sendable {
    public var choice: EventChoice
    /// Why fewer events were recorded than were wanted, as an errno; nil where all were.
    public var shortage: Int32?
    /// How many events were met, also those that newer ones overwrote.
    public var met: UInt64
    /// How many of them the kernel could not write down.
    public var dropped: UInt64
    /// Whether some of those are not known to have been before any of the samples: nothing says where.
    public var hasUnplacedLosses = false
    /// The size of all rings in bytes.
    public var memory: Int
    /// Why KVM clears the registers at a triple fault, as it does on AMD, and no probe keeps them; nil where it clears none,
    /// or one does.
    public var lostRegisters: ProbeRefusal?

    public init(
      choice: EventChoice, shortage: Int32?, met: UInt64, dropped: UInt64, memory: Int,
      lostRegisters: ProbeRefusal? = nil
    ) {
      self.choice = choice
      self.shortage = shortage
      self.met = met
      self.dropped = dropped
      self.memory = memory
      self.lostRegisters = lostRegisters
    }
  }
}

/// One tracepoint record with where and when it happened.
public struct PerfSample: Sendable {
  /// Nanoseconds on perf's clock (sched_clock).
  public var time: UInt64
  public var cpu: Int
  public var threadID: Int32
  /// Whether events of its thread were lost right before it.
  public var followsLoss = false
  /// The record, from its common_type on; perf's padding at the end included.
  public var payload: ArraySlice<UInt8>

  public init(time: UInt64, cpu: Int, threadID: Int32, payload: ArraySlice<UInt8>) {
    self.time = time
    self.cpu = cpu
    self.threadID = threadID
    self.payload = payload
  }

  /// The layout: pid and tid, time, cpu, raw data.
  static let type = UInt64(
    PERF_SAMPLE_TID.rawValue | PERF_SAMPLE_TIME.rawValue | PERF_SAMPLE_CPU.rawValue | PERF_SAMPLE_RAW.rawValue)
}

extension PerfSample {
  /// The samples among the records of a ring, oldest first; `bytes` has the newest first and whole records only.
  ///
  /// A PERF_RECORD_LOST is written together with the next sample and at a lower address, in a backward ring too (Linux 6.1
  /// kernel/events/ring_buffer.c: __perf_output_begin).
  static func all(in bytes: [UInt8]) -> [PerfSample] {
    var samples: [PerfSample] = []
    var isLossPending = false
    forEachRecord(in: bytes) { record in
      if record.lostEvents != nil { isLossPending = true }
      guard var sample = PerfSample(record: record) else { return }
      sample.followsLoss = isLossPending
      isLossPending = false
      samples.append(sample)
    }
    return samples.reversed()
  }

  /// How many events the records of a ring say were lost.
  static func lostEvents(in bytes: [UInt8]) -> UInt64 {
    var count: UInt64 = 0
    forEachRecord(in: bytes) { count &+= $0.lostEvents ?? 0 }
    return count
  }

  private static func forEachRecord(in bytes: [UInt8], _ body: (ArraySlice<UInt8>) -> Void) {
    var offset = 0
    while offset + 8 <= bytes.count {
      let size = Int(bytes[offset + 6]) | Int(bytes[offset + 7]) << 8
      guard size >= 8, offset + size <= bytes.count else { break }
      body(bytes[offset..<offset + size])
      offset += size
    }
  }

  /// Nil for records of other kinds.
  private init?(record: ArraySlice<UInt8>) {
    let start = record.startIndex
    func word(_ offset: Int) -> UInt32 { record.word(at: offset) }
    // Header 8, pid 4, tid 4, time 8, cpu 4, reserved 4, raw size 4.
    guard record.count >= 36, word(0) == PERF_RECORD_SAMPLE.rawValue else { return nil }
    let size = Int(word(32))
    guard size <= record.count - 36 else { return nil }
    threadID = Int32(truncatingIfNeeded: word(12))
    time = UInt64(word(16)) | UInt64(word(20)) << 32
    cpu = Int(word(24))
    payload = record[start + 36..<start + 36 + size]
  }
}

extension ArraySlice<UInt8> {
  /// The little-endian number at an offset from the start, which it must be within.
  fileprivate func word(at offset: Int) -> UInt32 {
    self[startIndex + offset..<startIndex + offset + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// What a PERF_RECORD_LOST counts; nil for other records. Header 8, id 8, lost 8.
  fileprivate var lostEvents: UInt64? {
    guard count >= 24, word(at: 0) == PERF_RECORD_LOST.rawValue else { return nil }
    return UInt64(word(at: 16)) | UInt64(word(at: 20)) << 32
  }
}
