import QEMU
import Testing
import X86

/// The dumps in a text.
private func dumps(_ text: String) -> [RegisterDump] { dumps(Array(text.utf8)) }

private func dumps(_ text: [UInt8]) -> [RegisterDump] {
  QEMULog.parse(utf8: text).compactMap { if case .registerDump(let dump) = $0.message { dump } else { nil } }
}

@Suite struct RegisterDumpTests {
  @Test func compatibilityMode() throws {
    let dump = try #require(dumps(try fixture("one-gib-pages/post.qemu.log")).first)
    let state = try #require(dump.state)
    #expect(dump.lines == 3...19 && dump.width == .bits32 && dump.hidesUpperHalves)
    #expect(dump.missing == [] && dump.problems == [] && dump.code == nil && dump.cpu == nil)
    #expect(state.mode == .compatibility(bits: 32))
    #expect(state.rip == 0x133025 && state.instructionAddress == LinearAddress(0x133025))
    #expect(state.generalPurpose.rax == 0x8000_0011 && state.generalPurpose.rsp == 0x1BF_A000)
    #expect(state.cr3 == 0xBF_8000 && state.cr4 == .physicalAddressExtension)
    #expect(state.efer == [.longModeEnable, .longModeActive])
    #expect(state.idtr.limit == 0 && state.gdtr.base == LinearAddress(0x100018) && state.gdtr.limit == 0xF)
    #expect(state.cs.selector.rawValue == 8 && state.cs.limit == 0xFFFF_FFFF)
    #expect(state.currentPrivilegeLevel == 0 && state.isInSMM == false && state.isHalted == false)
    #expect(dump.registers[.cr3]?.line == 16 && dump.segments[.cs]?.line == 7)
  }

  @Test func emulationFailureWithCode() throws {
    let dump = try #require(dumps(try fixture("qemu/kvm-emulation-failure.log")).first)
    let code = try #require(dump.code)
    #expect(dump.state?.mode == .protected(bits: 32) && dump.state?.rip == 0xE000_0000 && !dump.hidesUpperHalves)
    #expect(code.bytes.count == 50 && code.marked == 20 && code.isUnreadable && code.atInstructionPointer == [])
    #expect(dump.lines.upperBound == code.line)
  }

  @Test func bothWidthsFromTheMonitor() throws {
    let found = dumps(try fixture("qemu/info-registers.log"))
    #expect(found.map(\.cpu) == [0, 1])
    #expect(found.map(\.width) == [.bits64, .bits32])
    #expect(found.map { $0.state?.mode } == [.long64, .real])
    #expect(found.map { $0.state?.isHalted } == [true, true])
    #expect(found.allSatisfy { $0.missing == [] && $0.problems == [] })
  }

  @Test func interruptAndResetLog() throws {
    let found = dumps(try fixture("qemu/tcg-triple-fault.log"))
    #expect(found.map(\.cpu) == [0, 0, nil, nil])
    #expect(found.map(\.conditionCodeOperation) == ["DYNAMIC", "DYNAMIC", "LOGICL", "LOGICL"])
    #expect(found.allSatisfy { $0.state != nil && $0.problems == [] })
    #expect(found[3].state?.cr2 == 0x12_3456_7890 && found[3].state?.cs.attributes.contains(.long) == true)
    #expect(found[3][.conditionCodeDestination] == 0xFFFF_FFFF_E000_0011)
  }

  /// Ways in which reports mangle a dump; each must leave the same registers.
  private static let manglings: [(String, @Sendable (String) -> String)] = [
    ("as it is", { $0 }),
    ("CR LF", { $0.split(separator: "\n").joined(separator: "\r\n") }),
    ("CR", { $0.split(separator: "\n").joined(separator: "\r") }),
    ("quoted", { eachLine($0) { "> > " + $0 } }),
    ("log prefix", { eachLine($0) { "2024-05-01 10:11:12.123+0000: 1234: " + $0 } }),
    ("indented with a tab", { eachLine($0) { "\t" + $0 } }),
    ("text before and after", { "It died:\n\n" + $0 + "\nAny idea?\n" }),
    ("empty lines between", { $0.replacing("\n", with: "\n\n") }),
    ("broken at 80 columns", { eachLine($0) { wrapped($0, at: 80) } }),
    ("broken at the last blank before 72", { eachLine($0) { filled($0, to: 72) } }),
    ("escaped for a page", { escapedForPage($0) }),
    ("escaped by Go's JSON", { $0.replacing("<", with: "\\u003c").replacing(">", with: "\\u003e") }),
    (
      "escaped for Markdown", { $0.replacing("<", with: "\\<").replacing(">", with: "\\>").replacing("=", with: "\\=") }
    ),
    ("breaks that are not the file's", { $0.replacing("\n", with: "\u{B}") }),
    ("with line breaks of HTML", { eachLine($0) { $0 + "<br />" } }),
    ("no-break spaces", { $0.replacing("  ", with: "\u{A0} ") }),
    ("quoted-printable", { eachLine($0) { quotedPrintable($0) } }),
    ("trailing blanks lost", { eachLine($0) { String($0.reversed().drop { $0 == " " }.reversed()) } }),
    ("runs of blanks made one", { $0.replacing("     ", with: " ").replacing("  ", with: " ") }),
    (
      "upper case digits",
      { eachLine($0) { $0.hasPrefix("Code") ? $0.uppercased().replacing("CODE", with: "Code") : $0 } }
    ),
  ]

  @Test(arguments: manglings.map(\.0))
  func mangled(_ name: String) throws {
    let mangle = try #require(Self.manglings.first { $0.0 == name }).1
    for file in ["one-gib-pages/post.qemu.log", "qemu/kvm-emulation-failure.log", "qemu/tcg-triple-fault.log"] {
      let text = try fixtureText(file)
      let expected = dumps(text)
      let found = dumps(mangle(text))
      // Compared outside #expect, which would print every register.
      let sameStates = found.map(\.state) == expected.map(\.state)
      let sameCode = found.map { $0.code?.bytes } == expected.map { $0.code?.bytes }
      let sameMark = found.map { $0.code?.marked } == expected.map { $0.code?.marked }
      #expect(sameStates && sameCode && sameMark, "\(file)")
      let missing = found.flatMap(\.missing)
      #expect(missing.isEmpty, "\(file)")
    }
  }

  @Test("a dump whose lines were joined to one, with the error before it")
  func joined() throws {
    let text = try fixtureText("qemu/kvm-emulation-failure.log")
    let joined = text.replacing("\n", with: " ")
    #expect(dumps(joined).map(\.state) == dumps(text).map(\.state))
    #expect(dumps(joined).map { $0.code?.bytes } == dumps(text).map { $0.code?.bytes })
    let error = QEMULog.parse(joined + "\n").compactMap { entry -> KVMInternalError? in
      if case .kvmInternalError(let error) = entry.message { error } else { nil }
    }
    #expect(error.count == 1)
  }

  /// Each vCPU's thread prints its error; the lines come mixed.
  @Test func anotherErrorInside() throws {
    let text = try fixtureText("qemu/kvm-emulation-failure.log")
    let expected = try #require(dumps(text).first)
    for line in ["ES =", "CR0=", "EFER="] {
      let mixed = text.replacing(
        line, with: "KVM internal error. Suberror: 1\nemulation failure\n" + line, maxReplacements: 1)
      let found = dumps(mixed)
      #expect(
        found.count == 1 && found.first?.state == expected.state && found.first?.code?.bytes == expected.code?.bytes)
      #expect(found.first?.problems.count == 1, "before \(line)")
    }
  }

  /// As qemu-kvm 0.12 prints registers (qemu-kvm-x86.c: kvm_show_regs); the values are made up.
  private static let oldDump = """
    KVM internal error.Suberror: 2
    extra data[0]: 80000202
    rax 0000000000000001 rbx 0000000000000002 rcx 0000000000000003 rdx 0000000000000004
    rsi 0000000000000005 rdi 0000000000000006 rsp 0000000000100000 rbp 0000000000000007
    r8  0000000000000008 r9  0000000000000009 r10 000000000000000a r11 000000000000000b
    r12 000000000000000c r13 000000000000000d r14 000000000000000e r15 000000000000000f
    rip 0000000000101234 rflags 00000002
    cs 0008 (00000000/ffffffff p 1 dpl 0 db 0 s 1 type b l 1 g 1 avl 0)
    ds 0010 (00000000/ffffffff p 1 dpl 0 db 1 s 1 type 3 l 0 g 1 avl 0)
    es 0010 (00000000/ffffffff p 1 dpl 0 db 1 s 1 type 3 l 0 g 1 avl 0)
    ss 0010 (00000000/ffffffff p 1 dpl 0 db 1 s 1 type 3 l 0 g 1 avl 0)
    fs 0010 (00000000/ffffffff p 1 dpl 3 db 1 s 1 type 3 l 0 g 1 avl 1)
    gs 0010 (00000000/ffffffff p 1 dpl 0 db 1 s 1 type 3 l 0 g 1 avl 0)
    tr 0000 (00000000/0000ffff p 1 dpl 0 db 0 s 0 type b l 0 g 0 avl 0)
    ldt 0000 (00000000/0000ffff p 1 dpl 0 db 0 s 0 type 2 l 0 g 0 avl 0)
    gdt 120000/1f
    idt 0/3ff
    cr0 80010011 cr2 0 cr3 130000 cr4 7b8 cr8 0 efer d00
    """

  @Test(arguments: ["as it is", "broken", "empty lines", "cut"])
  func olderForm(_ name: String) throws {
    let text =
      switch name {
      case "broken": eachLine(Self.oldDump) { filled($0, to: 60) }
      case "empty lines": Self.oldDump.replacing("\n", with: "\n\n")
      case "cut": Self.oldDump.replacing("cr0 80010011", with: "and so on")
      default: Self.oldDump
      }
    let dump = try #require(dumps(text).first)
    #expect(dumps(text).count == 1 && dump[.r15] == 15 && dump[.rip] == 0x10_1234)
    #expect(dump[.cs]?.attributes.rawValue == 0xA0_9B00 && dump[.fs]?.attributes.rawValue == 0xD0_F300)
    guard name != "cut" else { return #expect(dump.state == nil) }
    let state = try #require(dump.state)
    #expect(state.mode == .long64 && state.cr3 == 0x13_0000 && state.cr4.rawValue == 0x7B8)
    #expect(state.gdtr == DescriptorTableRegister(base: LinearAddress(0x12_0000), limit: 0x1F))
  }

  @Test(arguments: [
    // The frames that teaching kernels print of themselves.
    "rax 0000000000000001 rbx 0000000000000002 rcx 0000000000000003 rdx 0000000000000004\nrsp 0000000000000005 rbp 0000000000000006",
    "rax 1 rbx 2 rcx 3 rdx 4", "rax 0000000000000001",
  ])
  func noOlderForm(_ text: String) { #expect(dumps(text).allSatisfy { $0.state == nil && $0[.rip] == nil }) }

  private static let instructionPointer = "RIP=0000000000001000 RFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0\n"

  @Test(
    arguments: [
      ("Code=0f 0b <cc> 90 ??", [0x0F, 0x0B, 0xCC, 0x90, nil], 2, [0xCC, 0x90]),
      ("Code=0f 0b\n<cc> 90", [0x0F, 0x0B, 0xCC, 0x90], 2, [0xCC, 0x90]),
      ("Code=0f 0b <c\nc> 90", [0x0F, 0x0B, 0xCC, 0x90], 2, [0xCC, 0x90]),
      ("Code=0f 0b 90", [0x0F, 0x0B, 0x90], nil, []),
      ("Code=<cc> 90\nnot code", [0xCC, 0x90], 0, [0xCC, 0x90]),
      ("Code=<cc> 9z 90", [0xCC], 0, [0xCC]),
    ] as [(String, [UInt8?], Int?, [UInt8])])
  func codeBytes(_ line: String, _ bytes: [UInt8?], _ marked: Int?, _ next: [UInt8]) throws {
    let code = try #require(dumps(Self.instructionPointer + line).first?.code)
    #expect(code.bytes == bytes && code.marked == marked && code.atInstructionPointer == next)
  }

  @Test func partialDump() throws {
    let text = "EAX=00000004 EBX=00000000 ECX=000001d9 EDX=00000000\n"
    let dump = try #require(dumps(text).first)
    #expect(dump[.rcx] == 0x1D9 && dump.state == nil)
    #expect(dump.missing.prefix(5) == ["RSI", "RDI", "RBP", "RSP", "RIP"])
  }

  @Test func dumpWithoutEFER() throws {
    let text = try fixtureText("one-gib-pages/post.qemu.log").replacing("EFER=0000000000000500", with: "")
    let dump = try #require(dumps(text).first)
    #expect(dump.missing == ["EFER"] && dump.state?.efer == nil && dump.state?.cr3 == 0xBF_8000)
  }

  @Test(arguments: [
    // A dump that another one follows does not lend it registers.
    ("EAX=00000001 EBX=00000000 ECX=00000000 EDX=00000000\nEAX=00000002 EBX=00000000 ECX=00000000 EDX=00000000", 2, 0),
    ("CR0=80000011 CR2=00000000 CR3=00000000 CR4=00000000\nEAX=00000002 EBX=00000000 ECX=00000000 EDX=00000000", 2, 0),
    (
      "EAX=00000001 EBX=00000000 ECX=00000000 EDX=00000000\nCPU#1\nCR0=80000011 CR2=00000000 CR3=00000000 CR4=00000000",
      2, 0
    ),
    ("EAX=00000001 EBX=00000000 ECX=00000000 EDX=00000000\nRSI=0000000000000000", 2, 0),
    // A few strange lines inside are reported; more end the dump.
    ("EAX=00000001 EBX=00000000\nHello\nCR0=80000011 CR2=00000000 CR3=00000000 CR4=00000000", 1, 1),
    ("EAX=00000001 EBX=00000000\na\nb\nc\nd\nCR0=80000011 CR2=00000000 CR3=00000000 CR4=00000000", 2, 0),
    // Values QEMU does not print.
    ("EAX=00000001 EBX=00000000\nESI=xyz", 1, 1),
    ("EAX=00000001 EBX=00000000\nGDT=     00000000 0001ffff", 1, 1),
  ])
  func several(_ text: String, _ count: Int, _ problems: Int) {
    let found = dumps(text)
    #expect(found.count == count && found.map(\.problems.count).reduce(0, +) == problems)
  }

  @Test(arguments: [
    "CR0=0x60000010: PG CD NW", "RIP: 0010:[<ffffffff81053e16>]  [<ffffffff81053e16>]", "CR2: 00007f81ca0c5000",
    "kernel: CR0=0000000080050033 CR3=000000029800c004 CR4=00000000003726e0",
    "kernel: Sysenter RSP=0000000000000000 CS:RIP=0000:0000000000000000", "EFER = 0x0000000000000d01", "CPL=0 HLT=1",
    "XCR3=00000000", "EAX=", "Code=", "Code= hello", "-append CR3=12", "=", "==", "R8 =",
  ])
  func othersLines(_ text: String) {
    #expect(dumps(text).isEmpty)
  }
}

private func eachLine(_ text: String, _ change: (String) -> String) -> String {
  text.split(separator: "\n", omittingEmptySubsequences: false).map { change(String($0)) }.joined(separator: "\n")
}

/// As HTML has to write it.
private func escapedForPage(_ text: String) -> String {
  text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
}

/// As mail encodes it (RFC 2045, 6.7): `=` escaped, lines of at most 76 characters with soft breaks.
private func quotedPrintable(_ line: String) -> String {
  var lines: [String] = [""]
  for character in line {
    let piece = character == "=" ? "=3D" : String(character)
    if lines[lines.count - 1].count + piece.count > 75 { lines.append("") }
    lines[lines.count - 1] += piece
  }
  return lines.joined(separator: "=\n")
}

/// Broken as a terminal does it: wherever the line is full.
private func wrapped(_ line: String, at width: Int) -> String {
  var rest = line[...]
  var lines: [Substring] = []
  while rest.count > width {
    lines.append(rest.prefix(width))
    rest = rest.dropFirst(width)
  }
  return (lines + [rest]).joined(separator: "\n")
}

/// Broken as a mailer does it: at blanks.
private func filled(_ line: String, to width: Int) -> String {
  var lines = [""]
  for word in line.split(separator: " ", omittingEmptySubsequences: false) {
    let last = lines.count - 1
    if lines[last].isEmpty {
      lines[last] = String(word)
    } else if lines[last].count + 1 + word.count <= width {
      lines[last] += " " + word
    } else {
      lines.append(String(word))
    }
  }
  return lines.joined(separator: "\n")
}
