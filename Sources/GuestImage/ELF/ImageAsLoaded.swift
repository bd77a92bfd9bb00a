public import X86

/// What physical memory holds after the boot loader put the image there and before the guest's first instruction.
///
/// It is not captured memory: a running guest has changed its data, and perhaps its code. It stands in where the
/// guest's memory cannot be had, and for comparison.
public struct ImageAsLoaded: PhysicalMemory, Sendable {
  public let image: GuestImage

  public init(_ image: GuestImage) { self.image = image }

  /// Addresses outside the image, and those of segments whose bytes the file lacks, are not captured.
  public func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    var filled = 0
    while filled < buffer.count {
      let (next, overflows) = address.rawValue.addingReportingOverflow(UInt64(filled))
      guard !overflows else { throw UnavailableMemory(address: PhysicalAddress(next), reason: .unbacked) }
      guard let run = image.run(at: next, limit: UInt64(buffer.count - filled), \.physicalAddress.rawValue) else {
        throw UnavailableMemory(address: PhysicalAddress(next), reason: .notCaptured)
      }
      filled = copy(run, to: &buffer, at: filled)
    }
  }

  /// Fills the part of `buffer` from `position` on with `run` and returns the position behind it.
  private func copy(_ run: GuestImage.Run, to buffer: inout MutableSpan<UInt8>, at position: Int) -> Int {
    let end = position + Int(run.count)
    var bytes: [UInt8] = []
    image.copy(run) { part in
      bytes.reserveCapacity(part.count)
      for index in part.indices { bytes.append(part[index]) }
    }
    for index in bytes.indices { buffer[position + index] = bytes[index] }
    for index in position + bytes.count..<end { buffer[index] = 0 }
    return end
  }
}
