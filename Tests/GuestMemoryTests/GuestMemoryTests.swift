import GuestMemory
import Testing
import X86

/// The bytes, or why there are none.
func read(_ memory: some PhysicalMemory, _ address: UInt64, _ count: Int) -> Result<[UInt8], UnavailableMemory> {
  var bytes = [UInt8](repeating: 0xEE, count: count)
  do throws(UnavailableMemory) {
    var span = bytes.mutableSpan
    try memory.read(PhysicalAddress(address), into: &span)
    return .success(bytes)
  } catch {
    return .failure(error)
  }
}

func missing(_ address: UInt64, _ reason: UnavailableMemory.Reason = .notCaptured) -> Result<[UInt8], UnavailableMemory>
{
  .failure(UnavailableMemory(address: PhysicalAddress(address), reason: reason))
}

@Suite struct FlatMemoryTests {
  let memory = FlatMemory([1, 2, 3, 4], at: PhysicalAddress(0x1000))

  @Test func givesItsBytes() {
    #expect(read(memory, 0x1000, 4) == .success([1, 2, 3, 4]))
    #expect(read(memory, 0x1003, 1) == .success([4]))
    #expect(read(memory, 0x9000, 0) == .success([]))
  }

  @Test func namesTheFirstByteItLacks() {
    #expect(read(memory, 0xFFF, 2) == missing(0xFFF))
    #expect(read(memory, 0x1002, 3) == missing(0x1004))
    #expect(read(memory, 0x1004, 1) == missing(0x1004))
    #expect(read(memory, 0, 1) == missing(0))
    #expect(read(FlatMemory([], at: PhysicalAddress(0)), 0, 1) == missing(0))
  }

  @Test func endsWhereTheAddressSpaceDoes() {
    let top = FlatMemory([1, 2, 3, 4], at: PhysicalAddress(.max - 1))
    #expect(read(top, .max - 1, 2) == .success([1, 2]))
    #expect(read(top, .max - 1, 3) == missing(0, .unbacked))
    #expect(read(top, .max, 8) == missing(0, .unbacked))
    #expect(read(top, 0, 1) == missing(0))
  }
}

@Suite struct SparseMemoryTests {
  /// Pages of 1, 2 and 4 at 0x1000, 0x2000 and the highest page, and a device behind 0x2000.
  let memory: SparseMemory = {
    var memory = SparseMemory()
    memory.insert(page: [UInt8](repeating: 1, count: 4096), at: PhysicalAddress(0x1000))
    memory.insert(page: [UInt8](repeating: 2, count: 4096), at: PhysicalAddress(0x2000))
    memory.insert(hole: .device, at: PhysicalAddress(0x3000))
    memory.insert(page: [UInt8](repeating: 4, count: 4096), at: PhysicalAddress(.max - 4095))
    return memory
  }()

  @Test func readsAcrossPages() {
    #expect(read(memory, 0x1FFE, 4) == .success([1, 1, 2, 2]))
    #expect(read(memory, .max, 1) == .success([4]))
    #expect(memory.pageAddresses.map(\.rawValue) == [0x1000, 0x2000, .max - 4095])
  }

  @Test func saysWhyBytesAreMissing() {
    #expect(read(memory, 0xFFF, 2) == missing(0xFFF))
    #expect(read(memory, 0x2FFF, 2) == missing(0x3000, .device))
    #expect(read(memory, .max, 2) == missing(0, .unbacked))
  }

  @Test func refusesWhatIsNotAPage() {
    var memory = SparseMemory()
    let refusals = [
      memory.insert(page: [1], at: PhysicalAddress(0x1000)),
      memory.insert(page: [UInt8](repeating: 1, count: 4096), at: PhysicalAddress(0x1001)),
      memory.insert(hole: .device, at: PhysicalAddress(1)),
    ]
    #expect(refusals == [false, false, false])
    #expect(memory == SparseMemory())
  }

  @Test func keepsWhatAnotherMemoryHas() {
    var copy = SparseMemory()
    copy.capture(PhysicalAddress(0x1FFF), count: 0x1002, from: memory)
    #expect(copy.pageAddresses.map(\.rawValue) == [0x1000, 0x2000])
    #expect(read(copy, 0x1FFF, 2) == .success([1, 2]))
    #expect(read(copy, 0x3000, 1) == missing(0x3000, .device))
    #expect(read(copy, 0x4000, 1) == missing(0x4000))
    copy.capture(PhysicalAddress(.max), count: 100, from: memory)
    #expect(read(copy, .max, 1) == .success([4]))
    copy.insert(page: [UInt8](repeating: 3, count: 4096), at: PhysicalAddress(0x3000))
    #expect(read(copy, 0x3000, 1) == .success([3]))
  }
}

@Suite struct LayeredMemoryTests {
  let memory = LayeredMemory([
    FlatMemory([1, 1], at: PhysicalAddress(0x1000)),
    FlatMemory([2, 2, 2, 2, 2, 2], at: PhysicalAddress(0xFFF)),
    {
      var pages = SparseMemory()
      pages.insert(hole: .device, at: PhysicalAddress(0x2000))
      return pages
    }(),
  ])

  @Test func takesEachByteFromTheFirstThatHasIt() {
    #expect(read(memory, 0xFFF, 6) == .success([2, 1, 1, 2, 2, 2]))
    #expect(read(memory, 0x1000, 4) == .success([1, 1, 2, 2]))
    #expect(read(memory, 0x1002, 2) == .success([2, 2]))
  }

  @Test func keepsTheReasonThatTellsMost() {
    #expect(read(memory, 0x1004, 2) == missing(0x1005))
    #expect(read(memory, 0x2000, 1) == missing(0x2000, .device))
    #expect(read(LayeredMemory([]), 0, 1) == missing(0))
    #expect(read(LayeredMemory([]), 0, 0) == .success([]))
  }
}
