import X86

extension Examiner {
  /// CS and SS: whether their descriptors would load again, as each return from an interrupt does.
  mutating func examineSegments(_ paging: Paging, in memory: some PhysicalMemory) {
    guard state.mode != .virtual8086 else { return }
    examine("CS", state.cs)
    // A null SS is allowed in 64-bit mode below CPL 3 (SDM vol. 3, 5.4.1).
    if !(state.mode == .long64 && state.ss.selector.isNull) { examine("SS", state.ss) }
    examineTaskRegister(paging, in: memory)
  }

  private mutating func examine(_ name: String, _ segment: Segment) {
    let selector = segment.selector.rawValue.hexadecimal
    let remedy = "keep the descriptors that are in use in the GDT, and reload every segment register after LGDT"
    let consequence = "the next return from an interrupt or far transfer with it raises #GP"
    func isGone(_ why: String) {
      add("segment.descriptor-gone", .warning, "\(name), \(selector), \(why): \(consequence)", remedy: remedy)
    }
    guard !segment.selector.isNull else { return isGone("is null") }
    let table = segment.selector.isLocal ? "LDT" : "GDT"
    switch instant.descriptor(segment.selector) {
    case .unknown: unjudged.append("vCPU \(processor.index): the descriptor of \(name)")
    case .beyond(let limit): isGone("lies beyond the limit of the \(table), \(limit.hexadecimal)")
    case .notMapped: isGone("names an entry of the \(table) that is not mapped")
    case .outsideMemory: isGone("names an entry of the \(table) where there is no memory")
    case .found(let descriptor):
      let isCode = segment.attributes.contains(.code)
      let loaded = segment.attributes.intersection([.long, .code, .codeOrData, .present])
      let present = descriptor.attributes.intersection([.long, .code, .codeOrData, .present])
      guard loaded != present else { return }
      add(
        "segment.descriptor-changed", .warning,
        "\(name), \(selector), was loaded as \(isCode ? "code" : "data"), and its entry in the GDT is now another "
          + "(\(descriptor.low.hexadecimal)): \(consequence), or goes on in another mode",
        remedy: remedy)
    }
  }

  /// TR: what user mode and interrupt stacks need.
  private mutating func examineTaskRegister(_ paging: Paging, in memory: some PhysicalMemory) {
    guard state.isLongModeActive else { return }
    let hasUserPages = UserPageSearch.finds(paging, in: memory)
    guard hasUserPages else { return }
    guard !state.tr.selector.isNull, state.tr.limit >= TaskStateSegment.leastLimit else {
      add(
        "interrupt.tss-missing", .note,
        "there are pages that user mode may use, and TR holds no TSS (selector \(state.tr.selector.rawValue.hexadecimal), limit "
          + "\(state.tr.limit.hexadecimal)): the first interrupt or exception in user mode finds no stack, and is a triple fault",
        remedy: "load TR (LTR) with a TSS whose RSP0 is the top of a kernel stack, before entering user mode")
      return
    }
    let place = TaskStateSegment(base: LinearAddress(state.tr.base)).stackPointerAddress(ofPrivilegeLevel: 0)
    guard let stack = try? paging.loadUInt64(at: place, for: PageAccess(.read, by: .implicitSupervisor), in: memory)
    else { return }
    let walk = paging.walk(
      LinearAddress((stack & ~0xF) &- 8), for: PageAccess(.write, by: .implicitSupervisor), in: memory)
    guard walk.judgement == .refused else { return }
    add(
      "interrupt.rsp0-stack", .warning,
      "RSP0 of the TSS, \(stack.hexadecimal), is no stack (\(WalkExplanation(walk).outcome)): the first interrupt or exception "
        + "in user mode is a triple fault",
      remedy: "put the top of a mapped, writable kernel stack into RSP0 of the TSS, at offset 4")
  }

  /// The stack, which the next push or exception of the supervisor writes to.
  mutating func examineStack(_ paging: Paging, in memory: some PhysicalMemory) {
    let pointer: UInt64
    switch state.mode {
    case .long64: pointer = state.generalPurpose.rsp &- 8
    case .protected(bits: 32): pointer = (state.ss.base &+ state.generalPurpose.rsp &- 4) & 0xFFFF_FFFF
    default: return
    }
    let isUser = (state.currentPrivilegeLevel ?? state.cs.selector.requestedPrivilegeLevel) == 3
    guard !isUser else { return }
    let walk = paging.walk(LinearAddress(pointer), for: PageAccess(.write, by: .supervisor), in: memory)
    guard walk.judgement == .refused else { return }
    add(
      "stack.not-writable", .fatal,
      "the stack cannot take a push: RSP is \(state.generalPurpose.rsp.hexadecimal), and \(pointer.hexadecimal) cannot be "
        + "written (\(WalkExplanation(walk).outcome)); an exception on this stack is a triple fault",
      remedy: "point RSP at the top of mapped, writable memory, and give #DF a stack of its own (IST)")
  }
}

/// Whether any page is user mode's.
private struct UserPageSearch: AddressSpaceVisitor {
  var isFound = false

  static func finds(_ paging: Paging, in memory: some PhysicalMemory) -> Bool {
    var search = UserPageSearch()
    _ = paging.scan(in: memory, tableLimit: 1 << 12, visitor: &search)
    return search.isFound
  }

  mutating func visit(_ range: MappedRange) { isFound = isFound || range.rights.contains(.user) }
  mutating func visit(_ finding: TableFinding) {}

  /// Nothing below an entry without U/S is user mode's.
  mutating func enter(_ table: PhysicalAddress, _ structure: PagingStructure, by entry: PageTableEntry?) -> Bool {
    !isFound && entry.map { $0.isUser || structure == .pageDirectory } ?? true
  }
}
