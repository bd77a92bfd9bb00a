import GuestMemory
import Investigation
import QEMU
import Testing
import X86

@Suite("resets through EFI")
struct EFIResetTests {
  /// An image as OVMF loads them: headers, code that calls a function which writes to a port, and a pointer to the runtime services.
  private struct Image {
    var base: UInt64 = 0x10_0000
    var subsystem: UInt16 = 12
    var size: UInt32 = 0x4000
    var signature = "PE\0\0"
    var baseInHeaders: UInt64 = 0x10_0000
    var services = "RUNTSERV"
    /// Where the runtime services have ResetSystem.
    var resetSystem: UInt64 = 0x10_1100
    /// Behind the function's OUT.
    var afterOut: [UInt8] = [0x48, 0x83, 0xC4, 0x30, 0x5B]  // add rsp, 0x30; pop rbx

    /// The offset of the instruction behind the call.
    static let returnOffset: UInt64 = 0x1105
    static let headersOffset: UInt64 = 0xE68

    func store(in memory: inout SparseMemory) {
      memory.store(Array("MZ".utf8), at: PhysicalAddress(base).rawValue)
      memory.store(bytes(UInt32(Self.headersOffset)), at: base + 0x3C)
      let headers = base + Self.headersOffset
      memory.store(Array(signature.utf8), at: headers)
      memory.store(bytes(UInt16(0x20B)), at: headers + 24)
      memory.store(bytes(baseInHeaders), at: headers + 48)
      memory.store(bytes(size), at: headers + 80)
      memory.store(bytes(subsystem), at: headers + 92)
      memory.store([0xE8, 0xFB, 0x00, 0x00, 0x00], at: base + 0x1100)  // call base + 0x1200
      memory.store([0x53, 0xEE] + afterOut + [0xC3], at: base + 0x1200)  // push rbx; out dx, al; …; ret
      memory.store(bytes(UInt64(0x18_0000)), at: base + 0x2010)
      memory.store(Array(services.utf8), at: 0x18_0000)
      memory.store(bytes(resetSystem), at: 0x18_0000 + 24 + 80)
    }

    private func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
      (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
  }

  /// A processor right behind the call, as TCG leaves it.
  private func scene(_ image: Image, port: UInt16 = 0xCF9, value: UInt8 = 6, leftOnStack: Bool = true) -> Scene {
    var memory = SparseMemory()
    for page in UInt64(0)..<512 {
      memory.insert(page: [UInt8](repeating: 0, count: 4096), at: PhysicalAddress(page << 12))
    }
    memory.store(0x7003, at: 0x6000)
    memory.store(0x8003, at: 0x7000)
    memory.store(0x83, at: 0x8000)
    image.store(in: &memory)
    let pointer = image.base + Image.returnOffset
    if leftOnStack { memory.store(pointer, at: 0x9000 - 8) }
    var state = Story.state(rip: pointer, cr3: 0x6000)
    state.cs = SmallGuest.segment(8, 0x00AF_9B00)
    state.generalPurpose.rsp = 0x9000
    state.generalPurpose.rax = UInt64(value)
    state.generalPurpose.rdx = UInt64(port)
    var scene = Scene(ending: .reset)
    scene.memory = memory
    scene.processors = [Story.processor(state)]
    scene.logsTripleFaults = true
    return scene
  }

  @Test("a runtime driver that ResetSystem leads into")
  func resetSystem() {
    let verdict = Investigator.verdict(on: scene(Image()))
    #expect(verdict.outcome == .ended)
    #expect(verdict.ending.contains("through port 0xcf9"))
    #expect(verdict.ending.contains("EFI's ResetSystem (a runtime driver of the firmware, the PE image at 0x100000)"))
  }

  @Test("an image at the end of the address space, larger than what is left of it")
  func endOfAddressSpace() throws {
    let base: UInt64 = 0xFFFF_FFFF_FFFF_F000
    var scene = scene(Image())
    var memory = try #require(scene.memory as? SparseMemory)
    // The last 2 MiB are mapped to the first, so the image's headers lie in the page before 200000H.
    for (table, entry) in [(0x6000, 0x7003), (0x7000, 0x8003), (0x8000, 0x83)] as [(UInt64, UInt64)] {
      memory.store(entry, at: table + 8 * 511)
    }
    var headers = [UInt8](repeating: 0, count: 0x1000)
    var span = headers.mutableSpan
    try memory.read(PhysicalAddress(0x10_0000), into: &span)
    memory.store(headers, at: 0x1F_F000)
    memory.store((0..<8).map { UInt8(truncatingIfNeeded: base >> (8 * $0)) }, at: 0x1F_F000 + Image.headersOffset + 48)
    memory.store([0xEE], at: 0x1F_F200)
    memory.store(Array(repeating: UInt8(0x80), count: 8), at: 0x1F_F208)
    scene.memory = memory
    scene.processors[0].state.rip = base + 0x201
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.ending.contains("a runtime driver of the EFI firmware (the PE image at 0xfffffffffffff000)"))
  }

  @Test("what the runtime services do not show is not said")
  func otherDriver() {
    for image in [Image(services: "BOOTSERV"), Image(resetSystem: 0x11_0000)] {
      let verdict = Investigator.verdict(on: scene(image))
      #expect(verdict.ending.contains("a runtime driver of the EFI firmware (the PE image at 0x100000) wrote to it"))
      #expect(!verdict.ending.contains("ResetSystem"))
    }
  }

  @Test(
    "each kind of image is told by its subsystem, and others are not EFI's",
    arguments: [
      (10 as UInt16, "an EFI application"), (11, "a boot-time driver of the EFI firmware"), (13, "ROM"), (1, nil),
      (3, nil),
    ])
  func kinds(_ subsystem: UInt16, _ words: String?) {
    let verdict = Investigator.verdict(on: scene(Image(subsystem: subsystem)))
    #expect(verdict.ending.contains("through port 0xcf9"))
    #expect(verdict.ending.contains("PE image") == (words != nil))
    if let words { #expect(verdict.ending.contains(words)) }
  }

  @Test("an image that does not hold RIP, or is none, is not taken for one")
  func noImage() {
    for image in [
      Image(size: 0x1000), Image(baseInHeaders: 0), Image(signature: "PE\0\u{1}"), Image(signature: "NE\0\0"),
    ] {
      let verdict = Investigator.verdict(on: scene(image))
      #expect(verdict.outcome == .ended)
      #expect(verdict.ending.contains("through port 0xcf9"))
      #expect(!verdict.ending.contains("PE image"))
    }
  }

  @Test("the write of a function that has not just returned, or branched behind it, is not taken for the last")
  func noWrite() {
    let scenes = [
      scene(Image(), leftOnStack: false), scene(Image(), value: 2), scene(Image(), port: 0x80),
      scene(Image(afterOut: [0x74, 0x00])),  // je to the RET
    ]
    for scene in scenes {
      let verdict = Investigator.verdict(on: scene)
      #expect(!verdict.ending.contains("port"))
      #expect(verdict.ending.contains("It was in EFI's ResetSystem"))
    }
  }

  @Test("a guest that turned itself off from there")
  func powerOff() {
    var scene = scene(Image())
    scene.ending = .poweredOff
    #expect(
      Investigator.verdict(on: scene).ending
        == "The guest turned itself off. It was in EFI's ResetSystem (a runtime driver of the firmware, the PE image at 0x100000)."
    )
  }
}
