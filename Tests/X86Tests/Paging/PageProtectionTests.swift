import Testing
import X86

@Suite("Page protection")
struct PageProtectionTests {
  /// One setting of the registers that protection depends on, all but the keys.
  struct Setting: CustomStringConvertible {
    var wp: Bool
    var smep: Bool
    var smap: Bool
    var ac: Bool
    var nxe: Bool

    init(_ bits: Int) {
      wp = bits & 1 != 0
      smep = bits & 2 != 0
      smap = bits & 4 != 0
      ac = bits & 8 != 0
      nxe = bits & 16 != 0
    }

    static let all = (0..<32).map(Setting.init)

    var description: String { "wp=\(wp) smep=\(smep) smap=\(smap) ac=\(ac) nxe=\(nxe)" }

    func paging(_ mode: PagingMode) -> Paging {
      var cr4: CR4 = []
      if smep { cr4.insert(.supervisorExecutionPrevention) }
      if smap { cr4.insert(.supervisorAccessPrevention) }
      return PageWalkTests.paging(
        mode, cr0: wp ? .writeProtect : [], cr4: cr4, rflags: ac ? .alignmentCheck : [],
        rules: PagingRules(
          hasGiBPages: true, maximumPhysicalAddressBits: 40, executeDisableEnabled: nxe, isAMD: true))
    }

    /// The manual's rules, access by access (SDM vol. 3, 4.6.1): may this access be made to such a page?
    func allows(_ access: PageAccess, w: Bool, u: Bool, nx: Bool) -> Bool {
      let throughSMAP = !smap || (ac && access.privilege == .supervisor)
      switch (access.privilege, access.kind, u) {
      case (.user, _, false): return false
      case (.user, .read, true): return true
      case (.user, .write, true): return w
      case (.user, .fetch, true): return !nx
      case (_, .read, false): return true
      case (_, .read, true): return throughSMAP
      case (_, .write, false): return w || !wp
      case (_, .write, true): return (w || !wp) && throughSMAP
      case (_, .fetch, false): return !nx
      case (_, .fetch, true): return !nx && !smep
      }
    }

    /// The error code of a denied access (SDM vol. 3, 4.7).
    func errorCode(_ access: PageAccess, reserved: Bool) -> UInt32 {
      var code: UInt32 = 1
      if access.kind == .write { code += 2 }
      if access.privilege == .user { code += 4 }
      if reserved { code += 8 }
      if access.kind == .fetch && (nxe || smep) { code += 16 }
      return code
    }
  }

  static let accesses = PageAccess.Kind.allCases.flatMap { kind in
    PageAccess.Privilege.allCases.map { PageAccess(kind, by: $0) }
  }

  /// The three rights of an entry as bits: 1 W, 2 U, 4 NX.
  static func entry(_ address: UInt64, rights: Int, isLarge: Bool = false) -> UInt64 {
    address | 1 | UInt64(rights & 3) << 1 | UInt64(rights >> 2) << 63 | (isLarge ? 0x80 : 0)
  }

  @Test("Every pair of rights of a PML4E and a 1 GiB PDPTE, every setting, every access", arguments: Setting.all)
  func twoLevels(setting: Setting) {
    for upper in 0..<8 {
      for lower in 0..<8 {
        let memory = WordMemory(words: [
          0x1000: Self.entry(0x2000, rights: upper), 0x2000: Self.entry(0, rights: lower, isLarge: true),
        ])
        check(setting, .fourLevel, memory, rights: [upper, lower])
      }
    }
  }

  @Test("Each right taken away at each level of four and five", arguments: Setting.all)
  func eachLevel(setting: Setting) {
    for mode in PagingMode.longModes {
      let depth = mode.levels
      for denied in 0..<(3 * depth) {
        let rights = (0..<depth).map { $0 == denied / 3 ? 0b011 ^ 1 << (denied % 3) : 0b011 }
        var memory = WordMemory()
        for (position, right) in rights.enumerated() {
          let table = UInt64(position + 1) << 12
          memory[table] = Self.entry(table + 0x1000, rights: right)
        }
        check(setting, mode, memory, rights: rights)
      }
    }
  }

  private func check(_ setting: Setting, _ mode: PagingMode, _ memory: WordMemory, rights: [Int]) {
    let w = rights.allSatisfy { $0 & 1 != 0 }
    let u = rights.allSatisfy { $0 & 2 != 0 }
    let nx = rights.contains { $0 & 4 != 0 }
    let isReserved = nx && !setting.nxe
    for access in Self.accesses {
      let walk = setting.paging(mode).walk(LinearAddress(0x123), for: access, in: memory)
      let isAllowed = !isReserved && setting.allows(access, w: w, u: u, nx: nx)
      let label = "\(access) with \(setting), W+U+NX by level \(rights)"
      switch walk.outcome {
      case .translated:
        if !isAllowed { Issue.record("allowed: \(label)") }
        if walk.steps.contains(where: { $0.verdict != .accepted }) { Issue.record("a step denies: \(label)") }
      case .pageFault(let fault):
        if isAllowed { Issue.record("denied with \(fault.cause): \(label)") }
        if fault.errorCode.rawValue != setting.errorCode(access, reserved: isReserved) || fault.undeterminedBits != [] {
          Issue.record("error code \(fault.errorCode.names): \(label)")
        }
        if !walk.steps.contains(where: { $0.verdict != .accepted }) { Issue.record("no step denies: \(label)") }
      case .unpaged, .notCanonical, .pdpteNotLoadable, .undetermined:
        Issue.record("\(walk.outcome): \(label)")
      }
    }
  }

  /// Which checks are named as failed, and at which entry.
  @Test(
    "The entry that denies is the one without the right",
    arguments: [
      (.write, .supervisor, [3, 1, 3, 3], .readOnly, [1]),
      (.write, .user, [7, 5, 3, 7], [.readOnly, .supervisorOnly], [1, 2]),
      (.read, .user, [3, 7, 7, 7], .supervisorOnly, [0]),
      (.fetch, .user, [7, 7, 0x8000_0000_0000_0007, 7], .executeDisabled, [2]),
      (.fetch, .supervisor, [7, 7, 7, 7], .supervisorExecution, [3]),
      (.read, .supervisor, [7, 7, 7, 7], .supervisorAccess, [3]),
      (.write, .implicitSupervisor, [7, 7, 7, 5], [.readOnly, .supervisorAccess], [3]),
    ] as [(PageAccess.Kind, PageAccess.Privilege, [UInt64], ProtectionViolations, [Int])])
  func denyingEntry(
    kind: PageAccess.Kind, privilege: PageAccess.Privilege, flags: [UInt64], expected: ProtectionViolations,
    denying: [Int]
  ) {
    var memory = WordMemory()
    for (position, flag) in flags.enumerated() {
      memory[UInt64(position + 1) << 12] = UInt64(position + 2) << 12 | flag
    }
    let paging = PageWalkTests.paging(
      cr0: .writeProtect, cr4: [.supervisorExecutionPrevention, .supervisorAccessPrevention])
    let walk = paging.walk(LinearAddress(0), for: PageAccess(kind, by: privilege), in: memory)
    guard case .pageFault(let fault) = walk.outcome else {
      Issue.record("\(walk.outcome)")
      return
    }
    #expect(fault.cause == .protection(expected))
    #expect(walk.steps.indices.filter { walk.steps[$0].verdict != .accepted } == denying)
  }

  @Test("Protection keys, for user and supervisor pages", arguments: [true, false])
  func protectionKeys(isUserPage: Bool) {
    for bits in 0..<64 {
      let key = UInt64(bits & 1 == 0 ? 0 : 13)
      let (isOn, accessDisabled, writeDisabled) = (bits & 2 != 0, bits & 4 != 0, bits & 8 != 0)
      let (wp, isKnown) = (bits & 16 != 0, bits & 32 != 0)
      // Every other key denies everything, and so does the register of the other kind of page.
      let rights = (accessDisabled ? UInt32(1) : 0) | (writeDisabled ? 2 : 0)
      let register = ~(3 << UInt32(2 * key)) | rights << UInt32(2 * key)
      let cr4: CR4 = isOn ? (isUserPage ? .protectionKeys : .supervisorProtectionKeys) : []
      let paging = PageWalkTests.paging(
        cr0: wp ? .writeProtect : [], cr4: cr4, pkru: isUserPage ? (isKnown ? register : nil) : ~0,
        pkrs: isUserPage ? ~0 : (isKnown ? register : nil))
      let flags: UInt64 = isUserPage ? 7 : 3
      let memory = WordMemory(words: [0x1000: 0x2000 | flags, 0x2000: 0x80 | flags | key << 59])
      for access in Self.accesses where isUserPage || !access.isUser {
        let isBound = isOn && access.kind != .fetch
        let isForbidden =
          accessDisabled || access.kind == .write && writeDisabled && (wp || access.privilege == .user)
        let outcome = paging.walk(LinearAddress(0), for: access, in: memory).outcome
        let label = "\(access), \(isUserPage ? "user" : "supervisor") page, case \(bits): \(outcome)"
        switch outcome {
        case .translated: #expect(!isBound || isKnown && !isForbidden, "\(label)")
        case .undetermined(let doubt, at: let structure):
          #expect(isBound && !isKnown, "\(label)")
          #expect(doubt == .protectionKey(UInt8(key)) && structure == .pageDirectoryPointerTable, "\(label)")
        case .pageFault(let fault):
          #expect(isBound && isKnown && isForbidden, "\(label)")
          #expect(fault.cause == .protection(.protectionKey), "\(label)")
          #expect(fault.errorCode.isSuperset(of: [.present, .protectionKey]), "\(label)")
        case .unpaged, .notCanonical, .pdpteNotLoadable: Issue.record("\(label)")
        }
      }
    }
  }

  @Test("Where a right is denied anyway, an unknown PKRU leaves open only the PK bit")
  func unknownKeyOfDeniedPage() {
    let memory = WordMemory(words: [0x1000: 0x2007, 0x2000: 0x85])
    let access = PageAccess(.write, by: .user)
    for (pkru, code, open) in [
      (UInt32(0), PageFaultErrorCode([.present, .write, .user]), PageFaultErrorCode([])),
      (3, [.present, .write, .user, .protectionKey], []), (nil, [.present, .write, .user], .protectionKey),
    ] {
      let walk = PageWalkTests.paging(cr4: .protectionKeys, pkru: pkru).walk(LinearAddress(0), for: access, in: memory)
      guard case .pageFault(let fault) = walk.outcome else {
        Issue.record("\(walk.outcome)")
        continue
      }
      #expect(fault.errorCode == code)
      #expect(fault.undeterminedBits == open)
    }
  }
}
