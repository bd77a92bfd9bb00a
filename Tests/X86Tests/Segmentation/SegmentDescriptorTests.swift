import Testing
import X86

@Suite("Descriptors")
struct SegmentDescriptorTests {
  @Test(
    "base, limit and attributes",
    arguments: [
      (0x00CF_9B00_0000_FFFF, 0, 0, 0xFFFF_FFFF, 0xC0_9B00), (0x1200_8B34_5678_0067, 0, 0x1234_5678, 0x67, 0x8B00),
      (0x0000_8B00_6000_0067, 0xFFFF_8000, 0xFFFF_8000_0000_6000, 0x67, 0x8B00),
      (0x000F_9200_0000_FFFF, 0, 0, 0xF_FFFF, 0x9200),
    ] as [(UInt64, UInt64, UInt64, UInt32, UInt32)])
  func fields(low: UInt64, high: UInt64, base: UInt64, limit: UInt32, attributes: UInt32) {
    let descriptor = SegmentDescriptor(low: low, high: high)
    #expect(descriptor.base == base)
    #expect(descriptor.limit == limit)
    #expect(descriptor.attributes.rawValue == attributes)
  }

  @Test(
    "a selector is within its table if all of its descriptor is",
    arguments: [(0x27, true), (0x26, false), (0x7, false)])
  func limits(limit: UInt32, isWithin: Bool) {
    let table = DescriptorTable(base: LinearAddress(0x1000), limit: limit)
    #expect(table.contains(SegmentSelector(rawValue: 0x23)) == isWithin)
    #expect(table.address(of: SegmentSelector(rawValue: 0x23)) == LinearAddress(0x1020))
  }
}
