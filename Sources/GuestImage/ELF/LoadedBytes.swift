public import X86

extension GuestImage {
  /// The bytes that a loader puts at `address` and after it, zero fill included: `count` of them, or fewer where the
  /// image ends or the file lacks them; none where it does not have the first.
  public func bytes(atVirtual address: LinearAddress, count: Int) -> [UInt8] {
    bytes(at: address.rawValue, count: count, \.virtualAddress.rawValue)
  }

  /// The bytes that a loader puts at `address` and after it, zero fill included: `count` of them, or fewer where the
  /// image ends or the file lacks them; none where it does not have the first.
  public func bytes(atPhysical address: PhysicalAddress, count: Int) -> [UInt8] {
    bytes(at: address.rawValue, count: count, \.physicalAddress.rawValue)
  }

  private func bytes(at address: UInt64, count: Int, _ start: (LoadSegment) -> UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    var next: UInt64? = address
    while bytes.count < count, let address = next {
      guard let run = run(at: address, limit: UInt64(count - bytes.count), start) else { break }
      copy(run) { part in
        for index in part.indices { bytes.append(part[index]) }
      }
      bytes.append(contentsOf: repeatElement(0, count: Int(run.zeroes)))
      next = address.addingReportingOverflow(run.count).overflow ? nil : address + run.count
    }
    return bytes
  }

  /// Neighbouring bytes of one segment: some from the file, then some that are zero.
  struct Run {
    var fileOffset: UInt64
    var fromFile: UInt64
    var zeroes: UInt64

    var count: UInt64 { fromFile + zeroes }
  }

  /// The bytes from `address` on that come from one segment, 1 to `limit` of them; nil where no segment has the
  /// address or the file lacks the byte. Where segments overlap, the last one counts.
  ///
  /// - Parameter start: The segment's address of the kind that `address` is of.
  func run(at address: UInt64, limit: UInt64, _ start: (LoadSegment) -> UInt64) -> Run? {
    var limit = limit
    for segment in segments.reversed() {
      let offset = address &- start(segment)
      guard offset < segment.memorySize else {
        if start(segment) > address { limit = min(limit, start(segment) - address) }
        continue
      }
      let count = min(limit, segment.memorySize - offset)
      let isFill = offset >= segment.fileSize
      let fromFile = isFill || offset >= segment.availableSize ? 0 : min(count, segment.availableSize - offset)
      let isCutOff = segment.availableSize < segment.fileSize
      let zeroes = isFill ? count : isCutOff ? 0 : count - fromFile
      guard fromFile + zeroes > 0 else { return nil }
      return Run(fileOffset: segment.fileOffset &+ offset, fromFile: fromFile, zeroes: zeroes)
    }
    return nil
  }

  /// Calls `body` with those bytes of `run` that come from the file.
  func copy(_ run: Run, _ body: (Span<UInt8>) -> Void) {
    guard run.fromFile > 0 else { return }
    file.withBytes(at: run.fileOffset, count: run.fromFile, body)
  }
}
