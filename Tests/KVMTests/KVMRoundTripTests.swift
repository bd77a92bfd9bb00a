import KVM
import Testing
import Traces
import X86

/// A record and the text that its kernel prints for it must mean the same.
@Suite struct KVMRoundTripTests {
  /// Values that real records have, where any other would print as a number or not at all.
  static let realistic: [String: @Sendable (UInt64) -> UInt64] = [
    "isa": { $0 & 1 + 1 }, "type": { $0 % 3 }, "irqchip": { $0 % 3 }, "rw": { $0 & 1 }, "write": { $0 & 1 },
    "load": { $0 & 1 }, "exception": { [1, 3, 6, 8, 10, 13, 14, 17][Int($0 % 8)] }, "has_error": { _ in 1 },
    "reason": { $0 % 31 }, "errno": { $0 & 1 == 0 ? 0 : UInt64(bitPattern: -Int64($0 >> 8 & 63)) },
    "flags": { [0, 1, 5, 9, 2][Int($0 % 5)] }, "pin": { $0 & 7 }, "len": { $0 & 15 }, "level": { $0 & 7 },
    "tm": { $0 & 1 }, "exit_reason": { $0 % 77 }, "size": { 1 << ($0 % 3) }, "count": { $0 & 0xff },
    "vcpu_id": { $0 & 0xfff }, "exit_code": { $0 % 77 }, "host_clock": { $0 & 1 }, "host": { $0 & 1 },
    "port": { $0 & 0xffff }, "vector": { $0 & 0xff }, "irq": { $0 & 0xff },
  ]

  @Test(arguments: ["formats-6.18.txt", "formats-6.1.txt"])
  func textAndRecordMeanTheSame(file: String) throws {
    var state: UInt64 = 1
    func random() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 33 | state << 31
    }
    var compared = 0
    for format in try formats(in: "traces/\(file)") {
      guard let decoder = KVMDecoder(format: format) else { continue }
      let print = try PrintFormat(format)
      for round in 0..<40 {
        var values: [String: UInt64] = [:]
        for field in format.fields {
          let shift = UInt64(round % 4) * 16
          let value = Self.realistic[field.name]?(random()) ?? random() >> shift
          values[field.name] = field.type == "bool" ? value & 1 : value
        }
        let bytes = record(format, values, bytes: (0..<15).map { _ in UInt8(truncatingIfNeeded: random()) })
        var buffer = TextBuffer()
        try #require(print.render(bytes.span.record, into: &buffer))
        let fromRecord = decoder.decode(bytes.span.record)
        // The message of a refused nested entry and the name of its error are one in the text.
        guard format.name != "kvm_nested_vmenter_failed" else { continue }
        let fromText = event(format.name, buffer.string)
        #expect(fromText.map(Self.comparable) == Self.comparable(fromRecord), "\(format.name): \(buffer.string)")
        compared += 1
      }
    }
    #expect(compared == 40 * 108)
  }

  /// What kernels recorded and what they printed for it themselves.
  @Test(arguments: ["6.18", "6.1"])
  func kernelsMeanTheSame(version: String) throws {
    let decoders = Dictionary(
      uniqueKeysWithValues: try formats(in: "traces/formats-\(version).txt").compactMap { format in
        KVMDecoder(format: format).map { (format.name, $0) }
      })
    var compared = 0
    for line in try fixture("traces/records-\(version).txt").split(separator: "\n") {
      let columns = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      guard let decoder = decoders[columns[0]] else { continue }
      let digits = Array(columns[1].utf8)
      let bytes = try stride(from: 0, to: digits.count, by: 2).map { index in
        try #require(UInt8(String(decoding: digits[index...(index + 1)], as: UTF8.self), radix: 16))
      }
      let fromText = event(columns[0], columns[2])
      #expect(
        fromText.map(Self.comparable) == Self.comparable(decoder.decode(bytes.span.record)),
        "\(columns[0]): \(columns[2])")
      compared += 1
    }
    #expect(compared > 100)
  }

  /// The event without what its text does not show, or shows in another way.
  static func comparable(_ event: KVMEvent) -> KVMEvent {
    switch event {
    case .exit(var exit):
      // An exception's name alone leaves AMD and kvm_pvm open, a number all.
      exit.settle()
      return .exit(exit)
    case .nestedExit(var exit):
      exit.settle()
      return .nestedExit(exit)
    case .nestedExitReflected(var exit):
      if exit.reasonName.hasSuffix(" excp") || exit.reasonName.hasPrefix("0x") {
        exit.vendor = nil
        exit.reason = nil
      }
      return .nestedExitReflected(exit)
    case .injectException(let vector, let errorCode, let isReinjected):
      // Kernels up to 5.15 print an error code where there is none, so a text's is dropped then.
      let hasErrorCode = [8, 10, 11, 12, 13, 14, 17, 21].contains(vector.rawValue)
      return .injectException(
        vector: vector, errorCode: hasErrorCode ? errorCode : nil, isReinjected: isReinjected)
    default: return event
    }
  }
}

extension KVMExit {
  fileprivate mutating func settle() {
    guard reasonName.hasSuffix(" excp") || reasonName.hasPrefix("0x") else { return }
    vendor = nil
    reason = nil
  }
}
