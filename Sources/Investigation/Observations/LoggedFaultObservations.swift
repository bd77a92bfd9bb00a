import GuestImage
import QEMU
import X86

extension Scene {
  /// What the lines of the last chain in a log of `-d int` prove.
  var loggedFaultObservations: [Evidence] {
    guard trace.isEmpty else { return [] }
    guard let fault = loggedFault else { return checksWithoutLines }
    return fault.words.map { Evidence($0, fault.source) } + [copy(over: fault)].compactMap(\.self)
  }

  /// What was written to the place of the fault.
  private func copy(over fault: LoggedFault) -> Evidence? {
    guard let pointer = fault.programCounter,
      let processor = processors.first(where: { $0.state.instructionAddress.rawValue == pointer }),
      let copy = listedCopy(over: pointer, processor.state)
    else { return nil }
    return Evidence(
      "What lies at RIP was put there before: \(copy.value.words). Either code was moved there, or it was written over",
      copy.source)
  }

  /// Exceptions that the log names at its end, without the line that TCG prints of each in protected mode (target/i386/tcg/seg_helper.c:
  /// do_interrupt_all, 7.2): they came in real mode, unless somebody left the lines out.
  var repeatedCheck: (vector: ExceptionVector, count: Int, source: Source)? {
    let checks = log.reversed().prefix { entry in
      switch entry.value {
      case .exceptionCheck(nil, _), .hardwareInterrupt: true
      default: false
      }
    }
    .filter { if case .exceptionCheck = $0.value { true } else { false } }
    guard checks.count >= 3, let first = checks.last, case .exceptionCheck(_, let vector) = first.value,
      checks.allSatisfy({ $0.value == first.value })
    else { return nil }
    return (vector, checks.count, first.source)
  }

  private var checksWithoutLines: [Evidence] {
    guard let (vector, count, source) = repeatedCheck else { return [] }
    return [
      Evidence(
        "\(vector.name) was raised \(count) times, one after another, and QEMU printed no line `v=\(vector.rawValue.hexadecimalByte) …` of any: it does so in protected mode only. So they came in real mode, unless the lines were left out: "
          + "an instruction that raises it again whenever its handler returns to it", source)
    ]
  }
}

extension LoggedFault {
  fileprivate var words: [String] {
    var words: [String] = []
    if programCounter != nil || stackPointer != nil || number != nil {
      let count = number.map { $0 == 0 ? ", the first of the run" : ", number \($0) of the run" } ?? ""
      let level = currentPrivilegeLevel.map { " at CPL \($0)" } ?? ""
      words.append(
        isInterrupt
          ? "An interrupt from a device came on vector \(vector.rawValue.hexadecimal)\(place)\(level)\(count), no exception\(isOfRealMode ? ": the PIC still has real mode's vectors, where IRQ \(vector.rawValue - 8) is the vector of \(vector.name). \(handlerWords)" : "")"
          : "The \(isTripleFault || follower != nil ? "exception that the chain begins with" : "last exception in the log") is \(vector.name) (v=\(vector.rawValue.hexadecimalByte))\(place)\(level)\(count)"
      )
    }
    if let pageFault, let errorCode { words.append("Error code \(errorCode.hexadecimal): \(pageFault.sentence)") }
    words += selector + nonCanonical + relations + region + chain + before
    if let operation = dump?.conditionCodeOperation, let meaning = Self.shifts[String(operation.prefix(3))] {
      words.append("CCO=\(operation): the last instruction that set the flags was \(meaning)\(shifted)")
    }
    if let rax, rax >> 31 == 1, rax & ~0xE005_003F == 0 {
      words.append(
        "EAX \(rax.hexadecimal) has the form of a value of CR0 (\(CR0(rawValue: rax).names.joined(separator: ", "))): it was read or written shortly before"
      )
    }
    return words
  }

  /// The PIC's first eight lines as the BIOS sets them up (SDM vol. 3, table 6-1 has exceptions there).
  var isOfRealMode: Bool { isInterrupt && (8...15).contains(vector.rawValue) }

  private var handlerWords: String {
    vector.hasErrorCode
      ? "A handler made for the exception takes an error code off the stack, which an interrupt does not push: what it shows is shifted by one word"
      : "A handler made for the exception takes it for one"
  }

  /// What the error code names.
  private var selector: [String] {
    guard let selectorError, let errorCode else { return [] }
    let during =
      interruptBefore.map { ", while interrupt \($0.hexadecimal) of a device was being delivered" } ?? ""
    guard let selector = selectorError.selector else {
      let vectors = selectorError.vectors(isLongModeActive: mode == .long64).map(\.hexadecimal)
      guard !vectors.isEmpty else { return [] }
      return [
        "Error code \(errorCode.hexadecimal) has bit 1 set (IDT): it names the gate of vector \(vectors.joined(separator: ", or in QEMU's older way of counting "))\(during)"
      ]
    }
    let table = selector.isLocal ? "LDT" : "GDT"
    let beyond = selectorBeyondTable.map { ", which lies beyond the GDT's limit \($0.limit.hexadecimal)" } ?? ""
    return [
      "Error code \(errorCode.hexadecimal) names the selector \(selector.rawValue.hexadecimal), entry \(selector.index) of the \(table)\(beyond)\(during)"
    ]
  }

  /// The GDT that the named selector lies beyond, where the log shows it.
  var selectorBeyondTable: DescriptorTableRegister? {
    guard let selector = selectorError?.selector, !selector.isLocal, let table = dump?[.gdtr],
      selector.index * 8 + 7 > Int(table.limit)
    else { return nil }
    return table
  }

  private static let pointers: [RegisterDump.Register] = [
    .rax, .rbx, .rcx, .rdx, .rsi, .rdi, .rbp, .rsp, .r8, .r9, .r10, .r11, .r12, .r13, .r14, .r15,
  ]

  /// Registers that no access of 64-bit code can use.
  private var nonCanonical: [String] {
    guard vector == .generalProtection, errorCode == 0, let dump, dump.width == .bits64, mode == .long64 else {
      return []
    }
    let names = Self.pointers.filter { register in
      dump[register].map { !Paging.isCanonical(LinearAddress($0), unusedBits: 7) } ?? false
    }
    guard !names.isEmpty else { return [] }
    let values = names.map { "\($0.rawValue) (\((dump[$0] ?? 0).hexadecimal))" }
    return [
      "\(values.joined(separator: ", ")) \(names.count == 1 ? "is" : "are") not canonical: an access through \(names.count == 1 ? "it" : "one of them") raises #GP(0)"
    ]
  }

  /// The names that TCG gives its lazy flags (target/i386/cpu.h: CC_OP_*, 7.2).
  private static let shifts: [String: String] = ["SAR": "a right shift (SHR or SAR)", "SHL": "a left shift (SHL)"]

  /// Registers that hold the shift's result.
  private var shifted: String {
    guard let result = dump?[.conditionCodeDestination], result > 0xFFFF else { return "" }
    let names = [RegisterDump.Register.rax, .rbx, .rcx, .rdx, .rsi, .rdi].filter { dump?[$0] == result }.map(\.rawValue)
    return names.isEmpty ? "" : ", and \(names.joined(separator: ", ")) holds its result, \(result.hexadecimal)"
  }

  private var relations: [String] {
    guard let address else { return [] }
    var words: [String] = []
    if isImplicit {
      words.append(
        "The access is a supervisor's at CPL 3: no instruction's, but the processor's own while it delivers an interrupt or exception, to the IDT, GDT or TSS, or to the kernel's stack"
          + (address == 4
            ? ". CR2 4 is where a TSS at address 0 has the stack pointer for CPL 0: TR holds no TSS, or one without a base"
            : ""))
      return words
    }
    if address == programCounter {
      words.append("CR2 is the address of the instruction itself: fetching it is what faults")
    }
    if PCMemory.vgaText.contains(address) {
      words.append(
        "CR2 \(address.hexadecimal) is inside the VGA text buffer (b8000 to b8f9f), row \((address - 0xB_8000) / 160) of 0 to 24"
      )
    }
    if let distanceBelowStack, distanceBelowStack <= 16 {
      words.append("CR2 is the stack pointer less \(distanceBelowStack): the push itself faulted")
    } else if address & 0xFFF >= 0xFF0, pageFault?.contains(.write) == true {
      words.append("CR2 lies in the last bytes of a page, as for a push that leaves the page above it")
    }
    if let programCounter, programCounter < 0x4000_0000, address < 0x10_0000, address != programCounter {
      words.append(
        "The code at \(programCounter.hexadecimal) could be fetched: low addresses are mapped, but not this one")
    }
    return words
  }

  /// The Rust crate bootloader maps what has no fixed address at the beginning of unused entries of the level-4 table (config.rs, 0.9 to
  /// 0.11): 512 GiB each.
  private var region: [String] {
    let named = [("The code", programCounter), ("The stack", stackPointer)]
    return named.compactMap { name, address in
      guard let address, (1..<256).contains(address >> 39), address & 0x7F_FFFF_FFFF < 1 << 30 else { return nil }
      return
        "\(name), at \(address.hexadecimal), is at the beginning of what entry \(address >> 39) of the PML4 maps (\(((address >> 39) << 39).hexadecimal)): where the Rust crate bootloader, for one, puts what has no fixed address"
    }
  }

  private var chain: [String] {
    guard let follower else {
      return isTripleFault && vector == .pageFault
        ? [
          "What came of it is more page faults: the delivery of #PF, then that of #DF, failed too. The consequence is the triple fault, not its cause"
        ] : []
    }
    var words: [String] = []
    let code = follower.errorCode
    let event = isInterrupt ? "interrupt \(vector.rawValue.hexadecimal)" : vector.name
    if [.generalProtection, .segmentNotPresent].contains(follower.vector), code & 2 != 0 {
      words.append(
        "\(follower.vector.name) with error code \(code.hexadecimal) came while \(event) was being delivered: bit 1 means the IDT, and the index is that of vector \(vector.rawValue)\(code >> 4 == UInt32(vector.rawValue) ? " (in gates of 16 bytes)" : ""): its gate is beyond the limit or "
          + "no gate. What comes after the first \(isInterrupt ? "event" : "exception") is the missing IDT, not the cause"
      )
    }
    if [.pageFault, .stackFault].contains(vector), follower.vector == .doubleFault,
      follower.stackPointer == stackPointer,
      stackPointer != nil, let shutdownBy, [.pageFault, .stackFault].contains(shutdownBy)
    {
      words.append(
        "\(vector.name) and #DF have the same stack pointer, which TCG prints before it switches stacks; #DF's delivery met \(shutdownBy.name) too. So its frame went onto the same stack (no IST), or its own stack, its gate or its handler cannot be reached either"
      )
    }
    if isTripleFault {
      words.append(
        "The chain ends in a triple fault: \(event), \(follower.vector.name)\(follower.vector == .doubleFault ? "" : ", #DF"), shutdown"
      )
    }
    return words
  }

  private var before: [String] {
    let before = instructionsBefore.suffix(6)
    guard let instruction else { return [] }
    guard !before.isEmpty else { return ["The listing has `\(instruction.text)` there"] }
    return [
      "The listing has `\(instruction.text)` there, behind \(before.map { "`\($0.text)`" }.joined(separator: "; "))"
    ]
  }
}

extension PageFaultErrorCode {
  /// `a supervisor write to a page that is not present`.
  var sentence: String {
    let who = contains(.user) ? "user" : "supervisor"
    let deed = contains(.fetch) ? "instruction fetch" : contains(.write) ? "write" : "read"
    if contains(.reserved) { return "a \(who) \(deed) met a paging entry with a reserved bit set (RSVD)" }
    return contains(.present)
      ? "a \(who) \(deed) that the page's rights forbid (protection violation)"
      : "a \(who) \(deed) of a page that is not present"
  }
}

extension CR0 {
  /// The manuals' names of the bits that are set (SDM vol. 3, 2.5), the highest first.
  fileprivate var names: [String] {
    [
      (31, "PG"), (30, "CD"), (29, "NW"), (18, "AM"), (16, "WP"), (5, "NE"), (4, "ET"), (3, "TS"), (2, "EM"), (1, "MP"),
      (0, "PE"),
    ]
    .filter { rawValue >> UInt64($0.0) & 1 == 1 }.map(\.1)
  }
}
