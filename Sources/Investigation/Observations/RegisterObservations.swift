import X86

/// What the values of general-purpose registers prove by their form: poison, text, values of control registers, entries and indexes of
/// page tables.
enum RegisterObservations {
  /// The facts, each a sentence. The state must not be that of a reset processor.
  static func facts(of state: ProcessorState) -> [String] {
    poison(state) + realModeVector(state) + text(state) + controlRegister(state) + faultAddress(state)
      + tableFill(state)
      + neighbouringPages(state)
  }

  private static func pointers(_ state: ProcessorState) -> [(name: String, value: UInt64)] {
    [
      ("RIP", state.rip), ("CR2", state.cr2), ("The base of the IDT", state.idtr.base.rawValue),
      ("The base of the GDT", state.gdtr.base.rawValue),
    ]
  }

  // MARK: Fill values

  /// Values that nobody computes (Linux include/linux/poison.h; EDK2 MdePkg.dec; the C runtimes' debug fills).
  private static let words: [UInt64: String] = [
    0xDEAD_BEEF: "DEADBEEF", 0xBAAD_F00D: "BAADF00D", 0xCAFE_BABE: "CAFEBABE", 0xFEED_FACE: "FEEDFACE",
    0xDEAD_0000_0000_0100: "Linux's poison of a list's next pointer",
    0xDEAD_0000_0000_0122: "Linux's poison of a list's prev pointer",
    0xDEAD_BEEF_DEAD_BEEF: "DEADBEEF twice", 0xDEAD_BEEF_CAFE_BABE: "DEADBEEFCAFEBABE",
  ]

  private static func poison(_ state: ProcessorState) -> [String] {
    (pointers(state) + state.generalPurpose.named).compactMap { name, value in
      if let word = words[value] { return "\(name) is \(value.hexadecimal), a fill value: \(word)" }
      guard let byte = repeatedByte(value) else { return nil }
      return "\(name) is \(value.hexadecimal): the byte \(byte.hexadecimalByte) again and again, "
        + InstructionObservations.meaning(ofFill: byte)
    }
  }

  /// The far pointer F000:FF53, to a handler that does nothing, with which a PC's BIOS fills real mode's vectors, at address 0 (SeaBIOS
  /// src/post.c: ivt_init; found in QEMU's memory, as in that of Bochs and VirtualBox).
  private static func realModeVector(_ state: ProcessorState) -> [String] {
    let values = [("RIP", state.rip), ("CR2", state.cr2)] + state.generalPurpose.named
    let names = values.filter { $0.1 == 0xF000_FF53 || $0.1 == 0xF000_FF53_F000_FF53 }.map { String($0.0) }
    guard !names.isEmpty else { return [] }
    return [
      "\(SegmentObservations.list(names)) hold\(names.count == 1 ? "s" : "") F000:FF53, the pointer with which a PC's BIOS fills real mode's vectors at address 0: it was read from there, through a null pointer"
    ]
  }

  /// The known fill byte of which all bytes of a value are, but for the low 12 bits of an address.
  private static func repeatedByte(_ value: UInt64) -> UInt8? {
    let byte = UInt8(truncatingIfNeeded: value >> 24)
    guard [0xAF, 0xA5, 0x5A, 0x6B, 0xCC, 0xCD, 0x90].contains(byte) else { return nil }
    let wide = UInt64(byte) &* 0x0101_0101_0101_0101
    let narrow = wide & 0xFFFF_FFFF
    let isPage = value & 0xFFF == 0
    let low: UInt64 = isPage ? 0xFFF : 0
    return value == wide & ~low || value == narrow & ~low ? byte : nil
  }

  private static func text(_ state: ProcessorState) -> [String] {
    (pointers(state) + state.generalPurpose.named).compactMap { name, value in
      let bytes = (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
      let count = bytes.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
      let isText = bytes.prefix(count).allSatisfy { (0x20...0x7E).contains($0) }
      let letters = bytes.prefix(count).count { (0x61...0x7A).contains($0 | 0x20) || $0 == 0x20 }
      guard isText, count >= 6 && letters >= count - 1 || count == 8 && letters >= 4 else { return nil }
      return
        "\(name) is \(value.hexadecimal), which is text: \"\(String(decoding: bytes.prefix(count), as: UTF8.self))\""
    }
  }

  // MARK: Control registers

  /// ET is 1 whatever is written (SDM vol. 3, 2.5).
  private static func controlRegister(_ state: ProcessorState) -> [String] {
    let eax = state.generalPurpose.rax & 0xFFFF_FFFF
    guard eax != state.cr0.rawValue, eax | CR0.extensionType.rawValue == state.cr0.rawValue,
      state.cr0.contains(.protectionEnable)
    else { return [] }
    return [
      "EAX (\(eax.hexadecimal)) is the value of CR0 (\(state.cr0.rawValue.hexadecimal)) but for ET, which is always 1: CR0 was loaded from it a few instructions ago"
    ]
  }

  private static func faultAddress(_ state: ProcessorState) -> [String] {
    guard state.cr0.contains(.paging), state.cr2 > 0xFFFF else { return [] }
    let names = GeneralPurposeRegisters.shortNames(where: { $0 == state.cr2 }, in: state.generalPurpose)
    return names.isEmpty
      ? []
      : [
        "CR2, the address of the last page fault, is what \(names.joined(separator: " and ")) hold\(names.count == 1 ? "s" : "")"
      ]
  }

  /// Two registers with the addresses of neighbouring pages, above the first megabyte and below 1 TiB, where neither chance nor a count is
  /// likely.
  private static func neighbouringPages(_ state: ProcessorState) -> [String] {
    let pages = state.generalPurpose.named.filter {
      $0.value & 0xFFF == 0 && (0x10_0000..<1 << 40).contains($0.value) && $0.value & 0xF_F000 != 0
    }
    return pages.compactMap { lower in
      pages.first { $0.value == lower.value + 0x1000 }.map {
        "\(lower.name) (\(lower.value.hexadecimal)) and \($0.name) (\($0.value.hexadecimal)) are the addresses of two neighbouring pages"
      }
    }
  }

  // MARK: Tables in the making

  /// A loop that fills page directories keeps the next entry, its index and often what is left to do in registers. An index of 512 or
  /// more has left its table.
  private static func tableFill(_ state: ProcessorState) -> [String] {
    var facts: [String] = []
    let named = state.generalPurpose.named.filter { $0.name != "RSP" }
    for entry in largePageEntries(state) {
      let address = entry.value & 0x000F_FFFF_FFE0_0000
      guard let index = named.first(where: { $0.value > 0 && $0.value << 30 == address && $0.value < 1024 }) else {
        continue
      }
      facts.append(
        "\(entry.name) (\(entry.value.hexadecimal)) has the form of a page-directory entry, a 2 MiB page at \(address.hexadecimal) "
          + "(\(index.value) GiB), and \(index.name) (\(index.value.hexadecimal) = \(index.value)) is the number of that GiB: a loop that fills page tables"
      )
      if index.value > 511 { facts += overflow(index, state) }
      if let rest = named.first(where: { isCount($0.value, completing: address >> 21) }) {
        let total = (address >> 21) + rest.value
        facts.append(
          "\(rest.name) (\(rest.value.hexadecimal)) more pages of 2 MiB would make it \(total.hexadecimal), \(total >> 9) GiB: that much the loop wants to map"
        )
      }
    }
    return facts
  }

  /// The registers that hold what looks like the entry of a 2 MiB page.
  private static func largePageEntries(_ state: ProcessorState) -> [(name: String, value: UInt64)] {
    guard state.isLongModeActive else { return [] }
    return state.generalPurpose.named.filter { $0.name != "RSP" && isLargePageEntry($0.value) }
  }

  /// That an index beside such an entry has left its table, and where it then wrote; empty where none has.
  static func indexesPastTable(_ state: ProcessorState) -> [String] {
    for entry in largePageEntries(state) {
      let address = entry.value & 0x000F_FFFF_FFE0_0000
      if let index = state.generalPurpose.named.first(where: {
        (512..<1024).contains($0.value) && $0.value << 30 == address
      }) {
        return overflow(index, state)
      }
    }
    return []
  }

  /// P and PS set, an address that is 2 MiB aligned and above 0, no other bits than flags.
  private static func isLargePageEntry(_ value: UInt64) -> Bool {
    value & 0x81 == 0x81 && value & 0x1F_E000 == 0 && value >> 21 != 0 && value < 1 << 48 && value & 0xE00 == 0
  }

  private static func isCount(_ value: UInt64, completing done: UInt64) -> Bool {
    guard value > 1, value < 1 << 24, done > 0 else { return false }
    let total = value + done
    return total.nonzeroBitCount == 1
  }

  private static func overflow(_ index: (name: String, value: UInt64), _ state: ProcessorState) -> [String] {
    var facts = [
      "\(index.name) is \(index.value): an index past 511, the last entry of one table, writes into the page behind the table"
    ]
    let (base, isBelow) = state.cr2.subtractingReportingOverflow(index.value << 12)
    let root = PageTableEntry(state.cr3).table.rawValue
    if !isBelow, state.cr2 & 0xFFF == 0, base > root, base &- root <= 16 << 12, base >= 0x2000 {
      let table = base - 0x1000
      facts.append(
        "CR2 (\(state.cr2.hexadecimal)) is \(base.hexadecimal) plus \(index.value) pages: if the directories begin at \(base.hexadecimal), right behind the table at "
          + "\(table.hexadecimal) (CR3 is \(root.hexadecimal)), then entry \(index.value) of that table is entry \(index.value - 512) of the directory at \(base.hexadecimal), "
          + "which maps \(((index.value - 512) << 21).hexadecimal) to \((((index.value - 511) << 21) - 1).hexadecimal)"
          + (state.cr2 >> 21 == index.value - 512 ? ", where CR2 lies" : ""))
    }
    return facts
  }
}
