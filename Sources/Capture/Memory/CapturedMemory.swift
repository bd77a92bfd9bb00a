import Files
public import QEMU
public import X86

/// A guest's physical memory: RAM that is shared from its mapping, also after QEMU has gone; ROM, and RAM that is not
/// shared, page by page from QEMU as long as it answers.
///
/// A page that came from QEMU is kept, up to a constant number of them, and does not change any more. Devices are never
/// read.
public final class CapturedMemory: PhysicalMemory {
  /// What is where; as of the freeze, or of the start where QEMU went without one.
  public let map: MemoryMap?
  /// Whether RAM is read from memory shared with QEMU.
  public var isShared: Bool { regions.contains { $0.slice != nil } }
  private let regions: [Region]
  /// Nil once QEMU has gone.
  private var reader: (any PageReader)?
  private var pages = PageCache()
  /// What is read in larger pieces is searched, and not kept.
  private static let mostKept = 0x1_0000

  private struct Region {
    let first: UInt64
    let last: UInt64
    let isDevice: Bool
    let slice: RAMSlice?
  }

  /// - Parameters:
  ///   - map: Nil where nothing tells what is where, and then nothing can be read.
  ///   - reader: Gives what is not mapped.
  ///   - slice: The mapping of a range's memory, where it has one.
  init(map: MemoryMap?, reader: (any PageReader)?, slice: (MemoryMap.Range) -> RAMSlice?) {
    self.map = map
    self.reader = reader
    regions = (map?.ranges ?? []).map {
      Region(
        first: $0.first.rawValue, last: $0.last.rawValue, isDevice: $0.kind == .device,
        slice: $0.kind == .device ? nil : slice($0))
    }
  }

  /// Memory of a guest that is gone: what of its RAM and ROM was kept.
  ///
  /// - Parameter pages: Read in whole pages.
  public convenience init(map: MemoryMap?, keptIn pages: any PhysicalMemory) {
    self.init(map: map, reader: KeptPages(memory: pages)) { _ in nil }
  }

  /// Ends reading from QEMU: the guest runs again or QEMU goes. What was read stays.
  func disconnect() { reader = nil }

  public func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    guard map != nil else { throw UnavailableMemory(address: address, reason: .notCaptured) }
    var done = 0
    while done < buffer.count {
      let (next, overflow) = address.rawValue.addingReportingOverflow(UInt64(done))
      guard !overflow, let index = regionIndex(at: next) else {
        throw UnavailableMemory(address: PhysicalAddress(next), reason: .unbacked)
      }
      // A region may end at the last address, so its size may not fit; its distance to the end does.
      let count = Int(min(UInt64(buffer.count - done - 1), regions[index].last - next)) + 1
      try read(next, inRegion: index, into: &buffer, at: done..<done + count)
      done += count
    }
  }

  private func regionIndex(at address: UInt64) -> Int? {
    var low = 0
    var high = regions.count
    while low < high {
      let middle = low + (high - low) / 2
      if regions[middle].last < address { low = middle + 1 } else { high = middle }
    }
    return low < regions.count && regions[low].first <= address ? low : nil
  }

  /// Fills `places` of the buffer with bytes that lie in one region.
  private func read(
    _ address: UInt64, inRegion index: Int, into buffer: inout MutableSpan<UInt8>, at places: Range<Int>
  ) throws(UnavailableMemory) {
    if regions[index].isDevice { throw UnavailableMemory(address: PhysicalAddress(address), reason: .device) }
    guard let slice = regions[index].slice else {
      return try readPages(address, in: regions[index], into: &buffer, at: places)
    }
    let offset = slice.offset &+ (address - regions[index].first)
    guard slice.mapping.read(offset: offset, into: &buffer, at: places) else {
      throw UnavailableMemory(address: PhysicalAddress(address), reason: .notCaptured)
    }
  }

  private func readPages(
    _ address: UInt64, in region: Region, into buffer: inout MutableSpan<UInt8>, at places: Range<Int>
  ) throws(UnavailableMemory) {
    if places.count > Self.mostKept, reader?.read(address, into: &buffer, at: places) == true { return }
    var place = places.lowerBound
    while place < places.upperBound {
      let here = address + UInt64(place - places.lowerBound)
      let offset = Int(here & 0xFFF)
      guard let bytes = contents(ofPage: here & ~0xFFF, in: region), bytes.count == 4096 else {
        throw UnavailableMemory(address: PhysicalAddress(here), reason: .notCaptured)
      }
      let count = min(4096 - offset, places.upperBound - place)
      // Safe: a byte has no padding.
      buffer.replace(at: place, with: unsafe bytes.span.bytes.extracting(offset..<offset + count))
      place += count
    }
  }

  private func contents(ofPage page: UInt64, in region: Region) -> [UInt8]? {
    // Memory that shares its page with a device is left alone: a read of the page would read the device.
    guard region.first <= page, region.last >= page | 0xFFF else { return nil }
    return pages.page(at: page) { reader?.page(at: page) }
  }
}

/// Pages out of other memory.
private struct KeptPages: PageReader {
  let memory: any PhysicalMemory

  func page(at address: UInt64) -> [UInt8]? {
    var page = [UInt8](repeating: 0, count: 4096)
    var span = page.mutableSpan
    return (try? memory.read(PhysicalAddress(address), into: &span)) == nil ? nil : page
  }
}

/// Where in a mapping the first byte of a range of memory lies.
struct RAMSlice {
  let mapping: RAMMapping
  let offset: UInt64
}
