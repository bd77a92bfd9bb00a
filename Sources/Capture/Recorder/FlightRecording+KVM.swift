public import KVM
import Traces

extension FlightRecording {
  /// The events in KVM's terms, by time.
  public func records() -> [KVMRecord] {
    let decoders = self.decoders
    return samples.map { sample in
      KVMRecord(
        time: sample.time, cpu: sample.cpu, task: threadNames[sample.threadID], threadID: sample.threadID,
        event: Self.event(of: sample, decoders))
    }
  }

  private var decoders: [UInt16: KVMDecoder] {
    var decoders: [UInt16: KVMDecoder] = [:]
    for tracepoint in tracepoints {
      // An event whose format cannot be read is shown as one that cannot be decoded.
      guard let id = UInt16(exactly: tracepoint.id),
        let layout = try? EventFormat(parsing: tracepoint.format, system: tracepoint.system, machine: .amd64)
      else { continue }
      decoders[id] = KVMDecoder(format: layout)
    }
    return decoders
  }

  private static func event(of sample: PerfSample, _ decoders: [UInt16: KVMDecoder]) -> KVMEvent {
    guard let id = sample.eventID else { return .undecodable(name: "", reason: "the record has no event number") }
    guard let decoder = decoders[id] else {
      return .undecodable(name: "event \(id)", reason: "its format is not known")
    }
    return decoder.decode(sample.payload.span.record)
  }
}

extension PerfSample {
  /// `common_type`: which tracepoint; nil for a record too short to say.
  public var eventID: UInt16? {
    guard payload.count >= 2 else { return nil }
    return UInt16(payload[payload.startIndex]) | UInt16(payload[payload.startIndex + 1]) << 8
  }
}
