import X86

/// What the segment registers prove beside the mode: segments of another mode than the processor's, limits and offsets that do not fit,
/// attributes that no descriptor may have.
enum SegmentObservations {
  /// The facts, each a sentence. The state must not be that of a reset processor.
  static func facts(of state: ProcessorState) -> [String] {
    realMode(state) + startup(state) + realModeLeftOver(state) + codeOffset(state) + attributes(state) + tables(state)
      + (state.cr0.contains(.protectionEnable) ? miscounted(state) : [])
  }

  private static func data(_ state: ProcessorState) -> [(name: String, segment: Segment)] {
    [("CS", state.cs), ("SS", state.ss), ("DS", state.ds), ("ES", state.es), ("FS", state.fs), ("GS", state.gs)]
  }

  /// Loading a selector in real mode makes the base 16 times it, and leaves the limit (SDM vol. 3, 21.1.1; "unreal" mode).
  private static func realMode(_ state: ProcessorState) -> [String] {
    guard state.mode == .real else { return [] }
    var facts: [String] = []
    let foreign: [(name: String, segment: Segment)] = data(state).filter {
      $0.segment.base != UInt64($0.segment.selector.rawValue) << 4
    }
    let isOfSMM = state.isInSMM == true
    if !foreign.isEmpty {
      let names = foreign.prefix(2).map {
        "\($0.name) is \($0.segment.selector.rawValue.hexadecimal) with base \($0.segment.base.hexadecimal)"
      }
      facts.append(
        "PE is clear, but \(list(names))\(foreign.count > 2 ? ", and so on" : ""): not 16 times the selector. "
          + (isOfSMM
            ? "In SMM that is how a handler may be set up"
            : "These are left over from protected mode: no far jump or load has put real mode's values there"))
    }
    let big = data(state).filter { $0.segment.limit > 0xFFFF }
    if !big.isEmpty, !isOfSMM {
      facts.append(
        "The limits of \(names(big)) are beyond 64 KiB (\(big[0].segment.limit.hexadecimal)): big real mode (\"unreal\" mode)"
          + (foreign.isEmpty
            ? "; the bases are 16 times the selectors, CS \(state.cs.selector.rawValue.hexadecimal) has \(state.cs.base.hexadecimal)"
            : ""))
    }
    if state.tr.base != 0, state.tr.attributes.contains(.present), !isOfSMM {
      facts.append(
        "TR still is a TSS at \(state.tr.base.hexadecimal), and IDTR has base \(state.idtr.base.rawValue.hexadecimal), limit \(state.idtr.limit.hexadecimal): set up in protected mode, by a boot loader or monitor that goes back and forth"
      )
    }
    if !isOfSMM, !foreign.isEmpty || !big.isEmpty {
      facts.append(
        "VMX cannot run such code itself where it has no unrestricted guest (Intel before Westmere, or kvm_intel "
          + "unrestricted_guest=0): KVM emulates it, one instruction after another (vmx.c: guest_state_valid)")
    }
    return facts
  }

  /// The names, or `all segments but CS` where they are that.
  private static func names(_ segments: [(name: String, segment: Segment)]) -> String {
    let names = segments.map(\.name)
    if names.count == 6 { return "all segments" }
    return names == ["SS", "DS", "ES", "FS", "GS"] ? "all segments but CS" : list(names)
  }

  /// Real mode at the beginning of a page, where a SIPI puts a processor (SDM vol. 3, 8.4.3).
  private static func startup(_ state: ProcessorState) -> [String] {
    guard state.mode == .real, state.rip == 0, state.cs.base != 0, state.cs.base & 0xFFF == 0,
      state.cs.base < 0x10_0000,
      state.cs.base == UInt64(state.cs.selector.rawValue) << 4, state.generalPurpose.rsp == 0
    else { return [] }
    return [
      "CS:IP is \(state.cs.selector.rawValue.hexadecimal):0, where a SIPI of vector \((state.cs.base >> 12).hexadecimal) starts a further processor (AP), and nothing is on a stack: it has run no instruction since"
    ]
  }

  /// Protected mode with the CS of real mode: between MOV CR0 and the far jump.
  private static func realModeLeftOver(_ state: ProcessorState) -> [String] {
    guard case .protected(bits: 16) = state.mode, state.cs.limit == 0xFFFF, state.cs.selector.rawValue != 0,
      state.cs.base == UInt64(state.cs.selector.rawValue) << 4
    else { return [] }
    var text =
      "CS \(state.cs.selector.rawValue.hexadecimal) is still as real mode loaded it (base \(state.cs.base.hexadecimal), 16 times the selector), "
      + "although PE is set: the far jump to protected mode's code has not been made"
    if state.cs.base & 0xFFF == 0 {
      text +=
        ". Page \(state.cs.base.hexadecimal) is where a SIPI of vector \((state.cs.base >> 12).hexadecimal) starts a further processor (AP)"
    }
    return [text]
  }

  private static func codeOffset(_ state: ProcessorState) -> [String] {
    guard state.mode != .long64 else { return [] }
    var facts: [String] = []
    if state.mode == .real, state.rip > 0xFFFF, state.rip <= state.cs.limit {
      facts.append(
        "EIP \(state.rip.hexadecimal) is above FFFF in real mode: 16-bit code does not get there by itself, only a jump or return of 32 bits does"
      )
    } else if state.rip > UInt64(state.cs.limit) {
      facts.append(
        "EIP \(state.rip.hexadecimal) is beyond the limit of CS (selector \(state.cs.selector.rawValue.hexadecimal), limit \(state.cs.limit.hexadecimal)): no processor fetches "
          + "there, so CS or EIP is not what it was")
    }
    if state.rip & 0xFFFF == 0, state.rip >> 16 != 0, state.rip <= 0xFFFF_FFFF {
      let names = GeneralPurposeRegisters.shortNames(where: { $0 == state.rip >> 16 }, in: state.generalPurpose)
        .map { "E" + $0.dropFirst() }
      if !names.isEmpty {
        facts.append(
          "EIP is \(list(names)) times 10000H: two 16-bit halves were taken for one 32-bit address, as by a return of the wrong width"
        )
      }
    }
    return facts
  }

  /// L with D is reserved, and L means nothing outside long mode or in a data segment (SDM vol. 3, 3.4.5).
  private static func attributes(_ state: ProcessorState) -> [String] {
    guard state.mode != .real, state.mode != .virtual8086 else { return [] }
    var facts: [String] = []
    if state.cs.attributes.isSuperset(of: [.long, .big]) {
      facts.append(
        "CS has both L and D set (attributes \(state.cs.attributes.rawValue.hexadecimal)): reserved; a processor refuses such a descriptor in "
          + "long mode"
          + (state.isLongModeActive ? "" : ", and outside it L means nothing, although QEMU prints CS64"))
    } else if state.cs.attributes.contains(.long), !state.isLongModeActive {
      facts.append("CS has L set (64-bit code), but long mode is not active: L means nothing then")
    }
    let wrong = data(state).dropFirst().filter { $0.segment.attributes.contains(.long) }.map(\.name)
    if !wrong.isEmpty {
      facts.append(
        "\(list(wrong)) ha\(wrong.count == 1 ? "s" : "ve") bit 21 (L of a code segment) set too, with attributes "
          + "\((data(state).first { $0.name == wrong[0] }?.segment.attributes.rawValue ?? 0).hexadecimal): the guest's GDT has it in the flags of its descriptors"
      )
    }
    return facts
  }

  /// A table of eight-byte entries has a limit of 8n-1. Boot loaders compute it wrongly by some bytes and live: the processor compares with
  /// a selector's own entry alone (SDM vol. 3, 3.5.1), so that only a limit as large as no such table can be a slip's is no software's.
  static func tables(_ state: ProcessorState) -> [String] {
    var wrong: [String] = []
    let (gdt, idt) = (state.gdtr, state.idtr)
    if gdt.limit > largestMiscounted, ![0, 7].contains(gdt.limit & 7) {
      wrong.append("GDT base \(gdt.base.rawValue.hexadecimal), limit \(gdt.limit.hexadecimal)")
    }
    if idt.limit > 0x1000, idt.limit != 0xFFFF {
      wrong.append("IDT base \(idt.base.rawValue.hexadecimal), limit \(idt.limit.hexadecimal) (more than 256 gates)")
    }
    guard !wrong.isEmpty else { return [] }
    return ["\(list(wrong)): no software loads such a table, so the register is not what it was"]
  }

  /// More entries than 32 are no boot loader's.
  private static let largestMiscounted: UInt16 = 0xFF

  /// A limit that is not that of whole entries tells how the table was measured.
  private static func miscounted(_ state: ProcessorState) -> [String] {
    let entries = state.isLongModeActive ? 16 : 8
    return [("GDT", state.gdtr.limit, 8), ("IDT", state.idtr.limit, entries)].compactMap { name, limit, size in
      let isSmall = name == "IDT" ? limit <= 0x1000 : limit <= largestMiscounted
      guard isSmall, Int(limit) > size, (Int(limit) + 1) % size != 0 else { return nil }
      return
        "The limit of the \(name) is \(limit.hexadecimal), not \(size) times the entries less 1: it was computed otherwise, which does no harm by itself"
    }
  }

  /// `A, B and C`.
  static func list(_ words: [String]) -> String {
    words.count < 2 ? words.joined() : words.dropLast().joined(separator: ", ") + " and " + (words.last ?? "")
  }
}

extension GeneralPurposeRegisters {
  /// All registers in the order of the encoding, with their names.
  var named: [(name: String, value: UInt64)] {
    Array(zip(Self.names, [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15]))
  }

  /// The names of the registers whose value passes, without the stack pointer.
  static func shortNames(where test: (UInt64) -> Bool, in registers: Self) -> [String] {
    registers.named.filter { $0.name != "RSP" && test($0.value) }.map(\.name)
  }
}
