import GuestImage
import GuestMemory
import Investigation
import QEMU
import Testing
import X86

/// What two runs left in memory, and whether the registers of the one may stand for those of the other.
@Suite("two runs")
struct SecondRunAgreementTests {
  /// An image with code at 1 MiB and four words of data at 2 MiB, of which the file has the first.
  private static func image(code: [UInt8] = farReturn) -> GuestImage? {
    try? GuestImage(of: [
      SmallSegment(at: FlatGuest.code, flags: 5, contents: padded(code), size: 32),
      SmallSegment(at: data, flags: 6, contents: [1, 0, 0, 0, 0, 0, 0, 0], size: 32),
    ])
  }
  private static func padded(_ code: [UInt8]) -> [UInt8] { code + [UInt8](repeating: 0x90, count: 32 - code.count) }
  private static let farReturn: [UInt8] = [0xCB]
  private static let data: UInt64 = 0x20_0000

  /// A far return to a selector that there is none of; 2 words of the stack are read, and those behind them are not.
  private static func guest() -> FlatGuest {
    var guest = FlatGuest()
    guest.memory.store(padded(farReturn), at: FlatGuest.code)
    guest.memory.store(0x33_0010_0000, at: FlatGuest.stack)
    guest.memory.store(1, at: data)
    guest.memory.store(4, at: data + 24)
    return guest
  }

  struct Difference: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// What is wrong with it, or nil.
    let disagreement: String?
    let hasImage: Bool
    let change: @Sendable (inout FlatGuest) -> Void

    init(
      _ description: String, _ disagreement: String?, hasImage: Bool = true,
      _ change: @escaping @Sendable (inout FlatGuest) -> Void
    ) {
      testDescription = description
      self.disagreement = disagreement
      self.hasImage = hasImage
      self.change = change
    }
  }

  static let differences: [Difference] = [
    Difference("none", nil) { _ in },
    Difference("none, and no image", nil, hasImage: false) { _ in },
    Difference("what the stack has above the frame", nil) { $0.memory.store(7, at: FlatGuest.stack + 16) },
    Difference("the same without an image to tell how far it got", "its stack differs there", hasImage: false) {
      $0.memory.store(7, at: FlatGuest.stack + 16)
    },
    Difference("the offset that the return does not come to", nil) {
      $0.memory.store(0x33_0010_0008, at: FlatGuest.stack)
    },
    Difference("the selector", "what it died of there is not what follows from the memory here") {
      $0.memory.store(0x3B_0010_0000, at: FlatGuest.stack)
    },
    Difference("the instruction", "what it died of there is not what follows from the memory here") {
      $0.memory.store([0xCF], at: FlatGuest.code)
    },
    Difference("code further on", nil) { $0.memory.store([0x12], at: FlatGuest.code + 0x80) },
    Difference("the GDT", "its GDT differs there") { $0.memory.store(1, at: FlatGuest.gdt + 0x18) },
    Difference("the IDT", "its IDT differs there") { $0.memory.store(1, at: FlatGuest.idt) },
    Difference(
      "the stack, and a word that only one has written",
      "its stack differs there, and one run has written to 0x200008, the other has not"
    ) {
      $0.memory.store(7, at: FlatGuest.stack + 16)
      $0.memory.store(5, at: data + 8)
    },
    Difference("a word that only one has written, below the same stack", nil) { $0.memory.store(5, at: data + 8) },
    Difference("an image that is not there", "its stack differs there") {
      $0.memory.store(7, at: FlatGuest.stack + 16)
      $0.memory.store([0x91], at: FlatGuest.code + 8)
    },
  ]

  @Test("what differs decides only where the death depends on it", arguments: differences)
  func memories(_ difference: Difference) {
    var first = Self.guest()
    first.state.idtr.limit = 7
    var scene = first.scene(.kvm)
    scene.image = difference.hasImage ? Self.image() : nil
    var second = Self.guest()
    difference.change(&second)
    let agreement = SecondRunAgreement(scene, with: Story.processor(first.state), in: second.memory)
    #expect(agreement.disagreement == difference.disagreement)
    #expect(!difference.hasImage || scene.image != nil)
  }

  @Test("a word that both have written may have another value each time")
  func counter() {
    var first = Self.guest()
    first.memory.store(7, at: Self.data + 8)
    var second = Self.guest()
    second.memory.store(8, at: Self.data + 8)
    second.memory.store(9, at: FlatGuest.stack + 16)
    var scene = first.scene(.kvm)
    scene.image = Self.image()
    #expect(SecondRunAgreement(scene, with: Story.processor(first.state), in: second.memory).disagreement == nil)
  }

  @Test("an image that neither has written to does not tell how far they got")
  func untouchedImage() {
    var first = Self.guest()
    first.memory.store(0, at: Self.data + 24)
    var second = first
    second.memory.store(7, at: FlatGuest.stack + 16)
    var scene = first.scene(.kvm)
    scene.image = Self.image()
    #expect(
      SecondRunAgreement(scene, with: Story.processor(first.state), in: second.memory).disagreement
        == "its stack differs there")
  }

  @Test("where neither has a stack, the image alone tells")
  func noStack() {
    var guest = Self.guest()
    guest.memory.store(Self.padded([0x0F, 0x0B]), at: FlatGuest.code)
    guest.state.generalPurpose.rsp = 0xD000_0000
    var scene = guest.scene(.kvm)
    func disagreement() -> String? {
      SecondRunAgreement(scene, with: Story.processor(guest.state), in: guest.memory).disagreement
    }
    #expect(disagreement() == "it has no stack, and nothing else tells how far each run got")
    scene.image = Self.image(code: [0x0F, 0x0B])
    #expect(disagreement() == nil)
  }

  @Test("registers that the first run's processor would have refused are not those of its death")
  func refusedRegister() {
    var guest = Self.guest()
    guest.state.cr4.insert(.linearAddress57)
    var scene = guest.scene(.kvm)
    #expect(SecondRunAgreement(scene, with: Story.processor(guest.state), in: guest.memory).disagreement == nil)
    scene.guestFeatures = Sourced([.la57: false], .qmp("feature-words"))
    #expect(
      SecondRunAgreement(scene, with: Story.processor(guest.state), in: guest.memory).disagreement
        == "there CR4 is 0x1000, and the first run's processor refuses bit 12")
  }
}
