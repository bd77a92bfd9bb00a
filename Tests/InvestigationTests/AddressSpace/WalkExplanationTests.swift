import GuestMemory
import Investigation
import Testing
import X86

@Suite("Walks in words")
struct WalkExplanationTests {
  private func explanation(
    _ guest: SmallGuest, _ address: UInt64, _ access: PageAccess = PageAccess(.read, by: .supervisor)
  ) throws -> WalkExplanation {
    WalkExplanation(try #require(guest.paging).walk(LinearAddress(address), for: access, in: guest.memory))
  }

  @Test("each entry with its checks, and where the address leads")
  func arrives() throws {
    let walk = try explanation(SmallGuest(), 0x20_1234)
    #expect(walk.levels.map(\.step.structure.entryName) == ["PML4E", "PDPTE", "PDE"])
    #expect(walk.levels.map { $0.checks.map(\.outcome) } == Array(repeating: [.passed, .passed, .passed], count: 3))
    #expect(walk.levels[0].checks[2].words == "leads to the page-directory-pointer table at 0x2000")
    #expect(walk.levels[2].checks[2].words == "maps a 2 MiB page at 0x200000")
    #expect(walk.outcome.hasPrefix("0x201234 is at physical 0x201234, in a 2 MiB page"))
  }

  @Test("a refusal is marked where it is made")
  func refusals() throws {
    var guest = SmallGuest()
    #expect(try explanation(guest, 0x80_0000).levels.last?.checks.map(\.outcome) == [.failed])
    guest.memory.store(0x4000_0083, at: SmallGuest.pdpt + 8)
    let reserved = try explanation(guest, 0x4000_0000)
    #expect(reserved.levels.last?.checks.last?.words == "bit 7 is reserved: a 1 GiB page (PS) needs pdpe1gb")
    #expect(reserved.outcome == "#PF, error code 0x9 (P|RSVD)")
    let user = try explanation(guest, 0x1000, PageAccess(.write, by: .user))
    #expect(user.protection.map(\.outcome) == [.failed])
    #expect(user.outcome == "#PF, error code 0x7 (P|W|U)")
    #expect(try explanation(guest, 0x8000_0000_0000).outcome.hasPrefix("#GP"))
  }

  @Test("a table that is not at hand decides nothing")
  func notCaptured() throws {
    var guest = SmallGuest()
    guest.memory.store(0xABC_D023, at: SmallGuest.pdpt + 24)
    let walk = try explanation(guest, 0xC000_0000)
    #expect(walk.levels.last?.checks.last?.outcome == .unknown)
    #expect(walk.outcome.hasPrefix("Not decided"))
  }
}
