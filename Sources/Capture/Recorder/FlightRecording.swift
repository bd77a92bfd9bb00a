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

  /// The layout: pid and tid where they are told, time, cpu, raw data.
  ///
  /// - Parameter tellsThread: Whether each record is to say whose it is. That and the CPU are a
  ///   seventh of the 1390 instructions that an event costs (measured with 6.1).
  static func type(tellsThread: Bool) -> UInt64 {
    let type = PERF_SAMPLE_TIME.rawValue | PERF_SAMPLE_CPU.rawValue | PERF_SAMPLE_RAW.rawValue
    return UInt64(tellsThread ? type | PERF_SAMPLE_TID.rawValue : type)
  }
}

extension PerfSample {
  /// The samples among the records of a ring, oldest first; `bytes` has the newest first and whole records only.
  ///
  /// A PERF_RECORD_LOST is written together with the next sample and at a lower address, in a backward ring too (Linux 6.1
  /// kernel/events/ring_buffer.c: __perf_output_begin).
  ///
  /// - Parameter thread: Whose they are; nil where each says so.
  static func all(in bytes: [UInt8], of thread: Int32? = nil) -> [PerfSample] {
    var samples: [PerfSample] = []
    var isLossPending = false
    forEachRecord(in: bytes) { record in
      if record.lostEvents != nil { isLossPending = true }
      guard var sample = PerfSample(record: record, of: thread) else { return }
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
  private init?(record: ArraySlice<UInt8>, of thread: Int32?) {
    // Header 8, pid 4 and tid 4 where they are told, time 8, cpu 4, reserved 4, raw size 4.
    let start = thread == nil ? 16 : 8
    func word(_ offset: Int) -> UInt32 { record.word(at: offset) }
    guard record.count >= start + 20, word(0) == PERF_RECORD_SAMPLE.rawValue else { return nil }
    let size = Int(word(start + 16))
    guard size <= record.count - start - 20 else { return nil }
    threadID = thread ?? Int32(truncatingIfNeeded: word(12))
    time = UInt64(word(start)) | UInt64(word(start + 4)) << 32
    cpu = Int(word(start + 8))
    payload = record.dropFirst(start + 20).prefix(size)
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
