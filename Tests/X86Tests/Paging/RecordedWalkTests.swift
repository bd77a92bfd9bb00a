import Foundation
import Testing
import X86

/// Every walk that KVM recorded, walked again: the entries it read and the error it found must be the model's.
@Suite("Walks in KVM's own words")
struct RecordedWalkTests {
  /// A trace and what is known of the guest and the KVM in it.
  struct Recording: CustomTestStringConvertible {
    var path: String
    var walker: Walker
    var hasGiBPages: Bool
    /// How many walks it has, so that none goes unread.
    var count: Int

    var testDescription: String { path }
  }

  /// One walk: what was asked, read and found.
  struct Walk {
    var address: UInt64
    var access: PageFaultErrorCode
    var elements: [(entry: UInt64, level: Int)] = []
    /// Nil if the walk succeeded.
    var error: PageFaultErrorCode?
  }

  static let recordings = [
    // The post's host is old, with EPT; the version is not told, and 5.13 is the last with that rule.
    Recording(
      path: "one-gib-pages/post.trace.txt", walker: .kvm(SoftwareVersion(5, 13), twoDimensionalPaging: true),
      hasGiBPages: false, count: 1),
    Recording(path: "page-walks/dies.txt", walker: debian, hasGiBPages: false, count: 5),
    Recording(path: "page-walks/probed.txt", walker: debian, hasGiBPages: false, count: 5),
    Recording(path: "page-walks/boots.txt", walker: debian, hasGiBPages: true, count: 4),
    Recording(path: "one-gib-pages/dies.report.txt", walker: debian, hasGiBPages: false, count: 5),
    Recording(
      path: "one-gib-pages/pvm.script.txt", walker: .kvm(SoftwareVersion(6, 18), twoDimensionalPaging: false),
      hasGiBPages: false, count: 3),
  ]
  static let debian = Walker.kvm(SoftwareVersion(6, 1), twoDimensionalPaging: false)

  @Test("The model reads the same entries and finds the same error", arguments: recordings)
  func replay(recording: Recording) throws {
    let walks = try Self.walks(in: recording.path)
    #expect(walks.count == recording.count)
    for recorded in walks {
      let walk = Self.walk(recorded, recording)
      let entries = walk.steps.map { [$0.entry.rawValue, UInt64($0.structure.level)] }
      #expect(entries == recorded.elements.map { [$0.entry, UInt64($0.level)] })
      switch (walk.outcome, recorded.error) {
      case (.translated, nil): break
      case (.pageFault(let fault), let error?):
        #expect(fault.errorCode == error)
        #expect(fault.undeterminedBits == [])
      default: Issue.record("\(walk.outcome), recorded \(recorded)")
      }
    }
  }

  @Test("The walkers that would have let the same walk pass")
  func opinions() throws {
    let recorded = try #require(try Self.walks(in: "page-walks/dies.txt").first)
    let memory = Self.memory(of: recorded)
    let guest = PagingRules(
      hasGiBPages: false, maximumPhysicalAddressBits: 40, executeDisableEnabled: false, isAMD: true)
    let inputs = WalkerInputs(guest: guest, host: PagingRules(hasGiBPages: true, maximumPhysicalAddressBits: 46))
    let old = Walker.kvm(SoftwareVersion(5, 10), twoDimensionalPaging: true)
    let new = Walker.kvm(SoftwareVersion(6, 1), twoDimensionalPaging: true)
    let tcg = Walker.tcg(SoftwareVersion(7, 2))
    let opinions = Self.paging(PagingRules()).opinions(
      of: [Self.debian, old, new, tcg, .hardware(.intel)], on: LinearAddress(recorded.address),
      for: PageAccess(recorded.access), in: memory, inputs)
    #expect(opinions.refusing == [Self.debian, old])
    #expect(opinions.accepting == [new, tcg, .hardware(.intel)])
    #expect(opinions.areDivided)
  }

  private static func walk(_ recorded: Walk, _ recording: Recording) -> PageWalk {
    // EFER is 0x500 in the registers that QEMU printed, so NXE is clear.
    let guest = PagingRules(
      hasGiBPages: recording.hasGiBPages, maximumPhysicalAddressBits: 40, executeDisableEnabled: false, isAMD: true)
    let rules = recording.walker.rules(for: WalkerInputs(guest: guest))
    return paging(rules).walk(
      LinearAddress(recorded.address), for: PageAccess(recorded.access), in: memory(of: recorded))
  }

  private static func paging(_ rules: PagingRules) -> Paging {
    Paging(
      mode: .fourLevel, cr3: 0x1000, rules: rules, protection: PageProtection(cr0: [], cr4: [], rflags: []))
  }

  /// Memory with the entries that were read and nothing else: a model that reads another one finds it missing.
  private static func memory(of walk: Walk) -> WordMemory {
    var memory = WordMemory()
    var table = PhysicalAddress(0x1000)
    for element in walk.elements {
      guard let structure = PagingStructure(level: element.level) else { continue }
      memory[structure.entryAddress(of: LinearAddress(walk.address), in: table).rawValue] = element.entry
      table = PageTableEntry(element.entry).table
    }
    return memory
  }

  private static func walks(in path: String) throws -> [Walk] {
    let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: tests.appending(path: "Fixtures/\(path)"), encoding: .utf8)
    var walks: [Walk] = []
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      guard let event = words.firstIndex(where: { $0.contains("kvm_mmu_") && $0.hasSuffix(":") }) else { continue }
      let name = words[event].split(separator: ":").last ?? ""
      func number(after word: String, radix: Int = 16) -> UInt64? {
        words.firstIndex(of: word).flatMap { UInt64(words[$0 + 1], radix: radix) }
      }
      switch name {
      case "kvm_mmu_pagetable_walk":
        let code = try #require(number(after: "pferr"))
        walks.append(
          Walk(
            address: try #require(number(after: "addr")), access: PageFaultErrorCode(rawValue: UInt32(code))))
      case "kvm_mmu_paging_element":
        let level = Int(try #require(number(after: "level")))
        walks[walks.count - 1].elements.append((try #require(number(after: "pte")), level))
      case "kvm_mmu_walker_error":
        let code = try #require(number(after: "pferr"))
        walks[walks.count - 1].error = PageFaultErrorCode(rawValue: UInt32(code))
      default: break
      }
    }
    return walks
  }
}
