import GuestImage
import QEMU
import X86

extension Scene {
  /// What the lines of the last chain in a log of `-d int` prove.
  var loggedFaultObservations: [Evidence] {
    guard trace.isEmpty, let fault = loggedFault else { return [] }
    return fault.words.map { Evidence($0, fault.source) }
  }
}

extension LoggedFault {
  fileprivate var words: [String] {
    var words: [String] = []
    if programCounter != nil || stackPointer != nil || number != nil {
      let count = number.map { $0 == 0 ? ", the first of the run" : ", number \($0) of the run" } ?? ""
      let level = currentPrivilegeLevel.map { " at CPL \($0)" } ?? ""
      words.append(
        "The \(isTripleFault || follower != nil ? "exception that the chain begins with" : "last exception in the log") is \(vector.name) (v=\(vector.rawValue.hexadecimalByte))\(place)\(level)\(count)"
      )
    }
    if let pageFault, let errorCode { words.append("Error code \(errorCode.hexadecimal): \(pageFault.sentence)") }
    words += relations + region + chain + before
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
    if [.generalProtection, .segmentNotPresent].contains(follower.vector), code & 2 != 0 {
      words.append(
        "\(follower.vector.name) with error code \(code.hexadecimal) came while \(vector.name) was being delivered: bit 1 means the IDT, and the index is that of vector \(vector.rawValue)\(code >> 4 == UInt32(vector.rawValue) ? " (in gates of 16 bytes)" : ""): its gate is beyond the limit or "
          + "no gate. What comes after the first exception is the missing IDT, not the cause")
    }
    if follower.vector == .doubleFault, follower.stackPointer == stackPointer, stackPointer != nil {
      words.append("\(vector.name) and #DF have the same stack pointer: no stack switch was made for #DF (no IST)")
    }
    if isTripleFault {
      words.append(
        "The chain ends in a triple fault: \(vector.name), \(follower.vector.name)\(follower.vector == .doubleFault ? "" : ", #DF"), shutdown"
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
