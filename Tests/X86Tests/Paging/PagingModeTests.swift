import Testing
import X86

@Suite("Paging mode")
struct PagingModeTests {
  static let pae = CR4.physicalAddressExtension
  static let la57 = CR4.linearAddress57

  @Test(
    "The registers select the mode",
    arguments: [
      ([], [], [], PagingMode.none), ([], [], nil, PagingMode.none), ([], pae, nil, PagingMode.none),
      (.paging, [], [], .twoLevel), (.paging, [], nil, .twoLevel), (.paging, la57, nil, .twoLevel),
      (.paging, pae, [], .pae), (.paging, [pae, la57], .longModeEnable, .pae), (.paging, pae, nil, nil),
      (.paging, [pae, la57], nil, nil), (.paging, pae, .longModeActive, .fourLevel),
      (.paging, [pae, la57], .longModeActive, .fiveLevel),
    ] as [(CR0, CR4, EFER?, PagingMode?)])
  func mode(cr0: CR0, cr4: CR4, efer: EFER?, expected: PagingMode?) {
    #expect(PagingMode(cr0: cr0, cr4: cr4, efer: efer) == expected)
  }

  @Test("Levels are those of the walk")
  func levels() {
    #expect(PagingMode.allCases.map(\.levels) == [0, 2, 3, 4, 5])
  }

  @Test(
    "Without EFER only a 64-bit code segment proves long mode",
    arguments: [
      (nil, SegmentAttributes.long, PagingMode.fourLevel), (nil, .big, nil), (EFER.longModeActive, .big, .fourLevel),
      (EFER(), .big, .pae),
    ] as [(EFER?, SegmentAttributes, PagingMode?)])
  func state(efer: EFER?, code: SegmentAttributes, expected: PagingMode?) {
    var state = ProcessorState.reset
    state.cr0 = [.protectionEnable, .paging]
    state.cr4 = Self.pae
    state.cs.attributes = code
    state.efer = efer
    #expect(state.pagingMode == expected)
  }

  @Test("A state gives the address space of its mode, or none where only EFER can tell")
  func everyMode() {
    var state = ProcessorState.reset
    state.cr3 = 0x1000
    state.efer = .executeDisableEnable
    let registers = PDPTERegisters(1, 2, 3, 4)
    func paging() -> Paging? { Paging(state, rules: PagingRules(), pdpteRegisters: registers) }
    #expect(paging()?.mode == PagingMode.none)
    state.cr0 = .paging
    #expect(paging()?.format == .twoLevel)
    state.cr4 = .pageSizeExtensions
    #expect(paging()?.format == .twoLevelWithLargePages)
    state.cr4.insert(Self.pae)
    #expect(paging()?.format == .pae)
    #expect(paging()?.pdpteRegisters == registers)
    #expect(paging()?.rules.executeDisableEnabled == true)
    state.efer = .longModeActive
    #expect(paging()?.mode == .fourLevel)
    state.efer = nil
    #expect(paging() == nil)
  }

  @Test("A long-mode state gives its address space")
  func addressSpace() throws {
    var state = ProcessorState.reset
    state.cr0 = [.protectionEnable, .paging, .writeProtect]
    state.cr3 = 0xBF_8123
    state.cr4 = [Self.pae, Self.la57, .supervisorAccessPrevention, .protectionKeys]
    state.rflags = .alignmentCheck
    state.efer = [.longModeEnable, .longModeActive, .executeDisableEnable]
    let rules = PagingRules(hasGiBPages: false)
    let paging = try #require(Paging(state, rules: rules, pkru: 4))
    #expect(paging.mode == .fiveLevel)
    #expect(paging.rootTable == PhysicalAddress(0xBF_8000))
    #expect(paging.rules == PagingRules(hasGiBPages: false, executeDisableEnabled: true))
    #expect(paging.protection == PageProtection(cr0: state.cr0, cr4: state.cr4, rflags: state.rflags, pkru: 4))

    state.efer = nil
    #expect(Paging(state, rules: rules) == nil)
    state.cs.attributes = .long
    #expect(try #require(Paging(state, rules: rules)).rules.executeDisableEnabled == nil)
  }
}

extension PagingMode {
  /// Those whose tables are of long mode's format.
  static let longModes: [PagingMode] = [.fourLevel, .fiveLevel]
}

extension ProcessorState {
  /// All registers zero.
  fileprivate static var reset: Self {
    let segment = Segment(selector: SegmentSelector(rawValue: 0), base: 0, limit: 0, attributes: [])
    let table = DescriptorTableRegister(base: LinearAddress(0), limit: 0)
    return Self(
      generalPurpose: GeneralPurposeRegisters(), rip: 0, rflags: [], es: segment, cs: segment, ss: segment,
      ds: segment, fs: segment, gs: segment, ldtr: segment, tr: segment, gdtr: table, idtr: table, cr0: [], cr2: 0,
      cr3: 0, cr4: [], efer: nil)
  }
}
