public import QEMU
public import X86

/// A stopped guest's physical memory: RAM from the shared mapping, also after QEMU has gone; ROM, and RAM that is not
/// shared, from QEMU's monitor as long as it answers.
///
/// Valid while the guest stands still. Devices are never read.
public final class CapturedMemory: PhysicalMemory {
  /// What is where; as of the freeze, or of the start where QEMU went without one.
  public let map: MemoryMap?
  /// Whether RAM is read from memory shared with QEMU.
  public var isShared: Bool { ram != nil }
  private let ram: SharedRAM?
  /// Nil once QEMU has gone.
  private var session: QEMUSession?
  /// Pages that the monitor gave, by their address; nil for one that it did not give.
  private var pages: [UInt64: [UInt8]?] = [:]

  init(map: MemoryMap?, ram: SharedRAM?, session: QEMUSession?) {
    self.map = map
    self.ram = ram
    self.session = session
  }

  /// Ends reading through the monitor: the guest runs again or QEMU goes. What was read stays.
  func disconnect() { session = nil }

  public func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    guard let map else { throw UnavailableMemory(address: address, reason: .notCaptured) }
    var done = 0
    while done < buffer.count {
      let (next, overflow) = address.rawValue.addingReportingOverflow(UInt64(done))
      let here = PhysicalAddress(next)
      guard !overflow, let range = map.range(at: here) else {
        throw UnavailableMemory(address: here, reason: .unbacked)
      }
      if range.kind == .device { throw UnavailableMemory(address: here, reason: .device) }
      // A range may end at the last address, so its size may not fit; its distance to the end does.
      let count = Int(min(UInt64(buffer.count - done - 1), range.last.rawValue - next)) + 1
      try read(here, in: range, into: &buffer, at: done..<done + count)
      done += count
    }
  }

  /// Fills `places` of the buffer with bytes that lie in one range.
  private func read(
    _ address: PhysicalAddress, in range: MemoryMap.Range, into buffer: inout MutableSpan<UInt8>,
    at places: Range<Int>
  ) throws(UnavailableMemory) {
    if let ram, range.name == SharedRAM.blockName {
      let offset = range.offset &+ (address.rawValue - range.first.rawValue)
      guard ram.read(offset: offset, into: &buffer, at: places) else {
        throw UnavailableMemory(address: address, reason: .notCaptured)
      }
      return
    }
    for place in places {
      let here = address.rawValue + UInt64(place - places.lowerBound)
      let page = here & ~0xFFF
      guard let bytes = contents(ofPage: page, in: range), Int(here - page) < bytes.count else {
        throw UnavailableMemory(address: PhysicalAddress(here), reason: .notCaptured)
      }
      buffer[place] = bytes[Int(here - page)]
    }
  }

  private func contents(ofPage page: UInt64, in range: MemoryMap.Range) -> [UInt8]? {
    if let known = pages[page] { return known }
    guard let session else { return nil }
    // Memory that shares its page with a device is left alone: `xp` would read the device.
    guard range.first.rawValue <= page, range.last.rawValue >= page | 0xFFF else { return nil }
    let bytes = session.physicalPage(at: page)
    pages[page] = .some(bytes)
    return bytes
  }
}

/// The bytes in the monitor's answer to `xp /512gx`: lines of `ADDRESS: 0xWORD 0xWORD`; nil for any other text.
func bytesOfMonitorDump(_ text: String) -> [UInt8]? {
  var bytes: [UInt8] = []
  for line in text.split(whereSeparator: \.isNewline) {
    guard let colon = line.firstIndex(of: ":") else { return nil }
    for word in line[line.index(after: colon)...].split(separator: " ") {
      guard word.hasPrefix("0x"), let value = UInt64(word.dropFirst(2), radix: 16) else { return nil }
      for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift))) }
    }
  }
  return bytes
}
