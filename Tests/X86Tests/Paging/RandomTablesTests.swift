import SeededRandom
import Testing
import X86

/// Random tables, walked by the library with parts of the processor unknown and by a plain walker that knows all.
///
/// What the library states must hold on every processor that its inputs leave possible.
@Suite("Random page tables")
struct RandomTablesTests {
  /// What a processor that is known makes of an access.
  enum Result: Hashable {
    case physical(UInt64)
    case fault(UInt32)
    case unreadable
    case notCanonical
  }

  /// One drawn processor state without its unknowns.
  struct Case {
    var mode: PagingMode
    var cr3: UInt64
    var address: UInt64
    var access: PageAccess
    var cr0: CR0
    var cr4: CR4
    var rflags: RFLAGS
    var pkru: UInt32?
    var pkrs: UInt32?
    var rules: PagingRules

    init(using generator: inout SeededGenerator) {
      mode = generator.oneIn(3) ? .fiveLevel : .fourLevel
      cr3 = UInt64.random(in: 0..<8, using: &generator) << 12 | generator.next() & 0xFFF
      // Few distinct indices, so that walks come back to the same entries.
      address = 0
      for level in UInt64(0)...4 { address |= generator.next() & 3 << (12 + 9 * level) }
      address |= generator.next() & 0xFFF
      if generator.oneIn(4) { address |= generator.pick([0xFFFF_8000_0000_0000, 0xFF00_0000_0000_0000, 1 << 62]) }
      access = generator.pick(PageProtectionTests.accesses)
      cr0 = CR0(rawValue: generator.next())
      cr4 = CR4(rawValue: generator.next())
      rflags = RFLAGS(rawValue: generator.next())
      pkru = generator.pick([nil, 0, UInt32(truncatingIfNeeded: generator.next())])
      pkrs = generator.pick([nil, 0, UInt32(truncatingIfNeeded: generator.next())])
      rules = PagingRules(
        hasGiBPages: generator.pick([nil, false, true]),
        maximumPhysicalAddressBits: generator.pick([nil, 32, 36, 40, 48, 52]),
        executeDisableEnabled: generator.pick([nil, false, true]), isAMD: generator.pick([nil, false, true]))
    }

    var paging: Paging {
      Paging(
        mode: mode, cr3: cr3, rules: rules,
        protection: PageProtection(cr0: cr0, cr4: cr4, rflags: rflags, pkru: pkru, pkrs: pkrs))
    }

    /// The plain walker: everything known, from the SDM's text.
    func result(on processor: KnownProcessor, keys: (user: UInt32, supervisor: UInt32), in memory: WordMemory) -> Result
    {
      let width = mode == .fiveLevel ? 57 : 48
      let above = address >> UInt64(width - 1)
      guard above == 0 || above == ~0 >> UInt64(width - 1) else { return .notCanonical }
      var code: UInt32 = access.kind == .write ? 2 : 0
      if access.privilege == .user { code |= 4 }
      if access.kind == .fetch && (processor.executeDisableEnabled || cr4.contains(.supervisorExecutionPrevention)) {
        code |= 16
      }
      var table = (cr3 >> 12) % (1 << 40) * 4096
      var (w, u, nx) = (true, true, false)
      for level in stride(from: mode == .fiveLevel ? 5 : 4, through: 1, by: -1) {
        let shift = UInt64(12 + 9 * (level - 1))
        guard let entry = memory[table + (address >> shift) % 512 * 8] else {
          return memory.missing == .unbacked ? .fault(code) : .unreadable
        }
        if entry & 1 == 0 { return .fault(code) }
        if processor.refuses(entry, level: level) { return .fault(code | 9) }
        w = w && entry & 2 != 0
        u = u && entry & 4 != 0
        nx = nx || entry >> 63 == 1
        guard level == 1 || entry & 0x80 != 0 else {
          table = entry & 0x000F_FFFF_FFFF_F000
          continue
        }
        let size = UInt64(1) << shift
        let physical = entry & 0x000F_FFFF_FFFF_FFFF / size * size + address % size
        let denial = denial(w: w, u: u, nx: nx, key: entry >> 59 & 15, keys: keys)
        return denial == 0 ? .physical(physical) : .fault(code | denial)
      }
      return .unreadable
    }

    /// 0, or P and perhaps PK of the error code.
    private func denial(w: Bool, u: Bool, nx: Bool, key: UInt64, keys: (user: UInt32, supervisor: UInt32)) -> UInt32 {
      let setting = PageProtectionTests.Setting(
        wp: cr0.contains(.writeProtect), smep: cr4.contains(.supervisorExecutionPrevention),
        smap: cr4.contains(.supervisorAccessPrevention), ac: rflags.contains(.alignmentCheck))
      let isOn = cr4.contains(u ? .protectionKeys : .supervisorProtectionKeys)
      let rights = (u ? keys.user : keys.supervisor) >> UInt32(2 * key) & 3
      let binds = access.kind == .write && (access.privilege == .user || cr0.contains(.writeProtect)) ? 3 : 1
      let isForbidden = isOn && access.kind != .fetch && rights & UInt32(binds) != 0
      if isForbidden { return 0x21 }
      return setting.allows(access, w: w, u: u, nx: nx) ? 0 : 1
    }
  }

  /// Eight tables at 0x0 to 0x7000 whose entries lead to each other, biased towards trouble.
  static func memory(using generator: inout SeededGenerator) -> WordMemory {
    var memory = WordMemory(missing: generator.pick([.unbacked, .device, .notCaptured]))
    for table in UInt64(0)..<8 {
      for index in [UInt64](0...3) + [508, 509, 510, 511, 256, 128] {
        var entry = UInt64.random(in: 0..<9, using: &generator) << 12 | 7
        if generator.oneIn(6) { entry ^= 1 << UInt64.random(in: 0...8, using: &generator) }
        if generator.oneIn(8) { entry |= 0x80 }
        if generator.oneIn(8) { entry ^= 1 << UInt64.random(in: 0...63, using: &generator) }
        if generator.oneIn(8) { entry |= 1 << 63 }
        if generator.oneIn(4) { entry |= generator.next() & 0xF << 59 }
        if generator.oneIn(16) { entry = generator.next() }
        memory[table << 12 | index << 3] = entry
      }
    }
    return memory
  }

  @Test("What the walk states holds on every possible processor", arguments: 1...8)
  func agreesWithPlainWalker(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var seen: [String: Int] = [:]
    for _ in 0..<20 {
      let memory = Self.memory(using: &generator)
      for number in 0..<100 {
        let drawn = Case(using: &generator)
        let walk = drawn.paging.walk(LinearAddress(drawn.address), for: drawn.access, in: memory)
        var results: Set<Result> = []
        for processor in drawn.rules.possibleProcessors {
          for user in drawn.pkru.map({ [$0] }) ?? [0, ~0] {
            for supervisor in drawn.pkrs.map({ [$0] }) ?? [0, ~0] {
              results.insert(drawn.result(on: processor, keys: (user, supervisor), in: memory))
            }
          }
        }
        seen[Self.kind(of: walk.outcome), default: 0] += 1
        if !Self.agrees(walk.outcome, with: results) {
          Issue.record("seed \(seed), case \(number): \(walk.outcome), but \(results); \(drawn)")
        }
        if walk.steps.count > drawn.mode.levels { Issue.record("too many steps") }
        Self.checkSteps(of: walk, in: memory)
      }
    }
    // The draw must reach every kind of outcome, or the agreement says little.
    for kind in ["translated", "notPresent", "reservedBits", "protection", "notCanonical", "doubtful bits"] {
      #expect(seen[kind, default: 0] > 20, "\(kind): \(seen)")
    }
  }

  private static func kind(of outcome: PageWalk.Outcome) -> String {
    switch outcome {
    case .translated: "translated"
    case .notCanonical: "notCanonical"
    case .unpaged, .pdpteNotLoadable: "of another mode"
    case .undetermined(.reservedBits, at: _): "doubtful bits"
    case .undetermined(.protectionKey, at: _): "doubtful key"
    case .undetermined(.tableUnavailable, at: _): "unavailable"
    case .pageFault(let fault):
      switch fault.cause {
      case .notPresent: "notPresent"
      case .reservedBits: "reservedBits"
      case .protection: "protection"
      case .tableUnbacked: "unbacked"
      }
    }
  }

  /// A statement must be the result of all; a doubt about the processor must be one that some of them resolve.
  private static func agrees(_ outcome: PageWalk.Outcome, with results: Set<Result>) -> Bool {
    switch outcome {
    case .translated(let translation):
      return results == [.physical(translation.physicalAddress.rawValue)]
    case .notCanonical:
      return results == [.notCanonical]
    case .unpaged, .pdpteNotLoadable:
      return false
    case .pageFault(let fault):
      let isAll = results.allSatisfy {
        if case .fault(let code) = $0 { return fault.agrees(with: PageFaultErrorCode(rawValue: code)) }
        return false
      }
      // Each undetermined bit doubles what can be seen.
      return isAll && results.count == 1 << fault.undeterminedBits.rawValue.nonzeroBitCount
    case .undetermined(.tableUnavailable, at: _):
      return results == [.unreadable]
    case .undetermined(.protectionKey, at: _):
      return results.count == 2
    case .undetermined(.reservedBits, at: _):
      return results.contains {
        guard case .fault(let code) = $0 else { return false }
        return code & 9 == 9
      }
    }
  }

  /// Each step is the entry that lies where the step says, and follows from the one before.
  private static func checkSteps(of walk: PageWalk, in memory: WordMemory) {
    var table = walk.paging.cr3 & 0x000F_FFFF_FFFF_F000
    for step in walk.steps {
      let expected = table + UInt64(step.index) * 8
      if step.entryAddress.rawValue != expected || memory[expected] != step.entry.rawValue {
        Issue.record("step \(step) of \(walk)")
      }
      table = step.entry.rawValue & 0x000F_FFFF_FFFF_F000
    }
  }

  @Test("Tables of random bits never trap the walk")
  func randomBits() {
    var generator = SeededGenerator(seed: 2)
    for _ in 0..<2_000 {
      var memory = WordMemory(missing: generator.pick([.unbacked, .device, .notCaptured]))
      var drawn = Case(using: &generator)
      drawn.cr3 = generator.next()
      drawn.address = generator.next()
      if generator.oneIn(2) { drawn.address = UInt64(bitPattern: Int64(bitPattern: drawn.address) >> 16) }
      drawn.rules.maximumPhysicalAddressBits = generator.pick([nil, Int.min, -1, 0, 11, 52, 53, 64, Int.max])
      // Grow the memory by the entry that was missing until the walk has an end of its own.
      for _ in 0...5 {
        let walk = drawn.paging.walk(LinearAddress(drawn.address), for: drawn.access, in: memory)
        for step in walk.steps { _ = step.verdict }
        switch walk.outcome {
        case .undetermined(.tableUnavailable(let hole), at: _): memory[hole.address.rawValue] = generator.next()
        case .pageFault(let fault):
          guard case .tableUnbacked(let hole) = fault.cause else { continue }
          memory[hole.address.rawValue] = generator.next()
        default: continue
        }
      }
    }
  }
}

extension PageProtectionTests.Setting {
  fileprivate init(wp: Bool, smep: Bool, smap: Bool, ac: Bool) {
    self.init((wp ? 1 : 0) | (smep ? 2 : 0) | (smap ? 4 : 0) | (ac ? 8 : 0))
  }
}
