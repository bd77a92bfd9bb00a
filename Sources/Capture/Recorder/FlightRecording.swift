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
  static func all(in bytes: [UInt8]) -> [PerfSample] {
    var samples: [PerfSample] = []
    var offset = 0
    while offset + 8 <= bytes.count {
      let size = Int(bytes[offset + 6]) | Int(bytes[offset + 7]) << 8
      guard size >= 8, offset + size <= bytes.count else { break }
      if let sample = PerfSample(record: bytes[offset..<offset + size]) { samples.append(sample) }
      offset += size
    }
    return samples.reversed()
  }

  /// Nil for records of other kinds.
  private init?(record: ArraySlice<UInt8>) {
    let start = record.startIndex
    func word(_ offset: Int) -> UInt32 {
      record[start + offset..<start + offset + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
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
