import Testing
import Traces

/// A line of a text trace, with copies of its parts.
struct ReadLine: Hashable, Sendable {
  var task: String? = "qemu-system-x86"
  var thread: Int32? = 125
  var process: Int32?
  var cpu: Int? = 0
  var time: UInt64? = 8_732_914_000
  var ticks: UInt64?
  var system: String?
  var name = "kvm_exit"
  var text = "reason npf rip 0x1"
}

enum ReadItem: Hashable, Sendable {
  case event(ReadLine, number: Int)
  case lost(LostEvents, number: Int)
}

func read(_ text: String) -> (items: [ReadItem], lines: Int, unrecognized: Int, cut: Bool) {
  let utf8 = text.utf8
  var reader = TextTraceReader(utf8.span)
  var items: [ReadItem] = []
  while let item = reader.next() {
    switch item {
    case .event(let line):
      items.append(
        .event(
          ReadLine(
            task: line.task?.string, thread: line.threadID, process: line.processID, cpu: line.cpu, time: line.time,
            ticks: line.ticks, system: line.system?.string, name: line.name.string, text: line.text.string),
          number: line.number))
    case .lost(let lost, let number): items.append(.lost(lost, number: number))
    }
  }
  return (items, reader.lineCount, reader.unrecognizedLineCount, reader.endsInsideLine)
}

@Suite struct TextTraceReaderTests {
  struct Form: Sendable, CustomTestStringConvertible {
    var line: String
    var expected: ReadLine
    var testDescription: String { line }
    init(_ line: String, _ expected: ReadLine) {
      self.line = line
      self.expected = expected
    }
  }

  @Test(arguments: [
    // trace-cmd report
    Form(" qemu-system-x86-125   [000]     8.732914: kvm_exit:             reason npf rip 0x1", ReadLine()),
    Form(" qemu-system-x86-125   [000] d..1.     8.732914: kvm_exit:             reason npf rip 0x1", ReadLine()),
    Form(" qemu-system-x86-125   [000]     8.732913517: kvm_exit: reason npf rip 0x1", ReadLine(time: 8_732_913_517)),
    Form(
      " qemu-system-x86-125   [000]  8732913517: kvm_exit: reason npf rip 0x1",
      ReadLine(time: nil, ticks: 8_732_913_517)),
    Form("qemu-sys-125     0d..1.     8.732914: kvm_exit:   reason npf rip 0x1", ReadLine(task: "qemu-sys")),
    Form("qemu-sys-125   127.....     8.732914: kvm_exit:   reason npf rip 0x1", ReadLine(task: "qemu-sys", cpu: 127)),
    Form(" qemu-system-x86-125   [000]     8.732914: (+791)   kvm_exit: reason npf rip 0x1", ReadLine()),
    Form(" dies.trace.dat:  qemu-system-x86-125   [000]     8.732914: kvm_exit: reason npf rip 0x1", ReadLine()),
    // ftrace's own trace
    Form("            bash-125     [000] d..1.     8.732914: kvm_exit: reason npf rip 0x1", ReadLine(task: "bash")),
    Form("            bash-125     [000] d..1     8.732914: kvm_exit: reason npf rip 0x1", ReadLine(task: "bash")),
    Form(
      "  bash-125     (    120) [000] d..1.     8.732914: kvm_exit: reason npf rip 0x1",
      ReadLine(task: "bash", process: 120)),
    Form("  bash-125     (-------) [000] d..1.     8.732914: kvm_exit: reason npf rip 0x1", ReadLine(task: "bash")),
    Form("           <...>-125     [000] .....     8.732914: kvm_exit: reason npf rip 0x1", ReadLine(task: nil)),
    Form(
      "          <idle>-0       [000] d.h2.     8.732914: kvm_exit: reason npf rip 0x1",
      ReadLine(task: "<idle>", thread: 0)),
    Form("    bash-125       0d..1.  873us!: kvm_exit: reason npf rip 0x1", ReadLine(task: "bash", time: 873_000)),
    Form("    bash-125       0d..1.  873us : kvm_exit: reason npf rip 0x1", ReadLine(task: "bash", time: 873_000)),
    // perf script
    Form(
      "          qemu-system-x86     125 [000]     8.732914:      kvm:kvm_exit: reason npf rip 0x1",
      ReadLine(system: "kvm")),
    Form(
      "          :125     125 [000]     8.732914:      kvm:kvm_exit: reason npf rip 0x1",
      ReadLine(task: nil, system: "kvm")),
    Form(
      "  qemu-system-x86   120/125   [000]     8.732914:    1  kvm:kvm_exit: reason npf rip 0x1",
      ReadLine(process: 120, system: "kvm")),
    Form(
      "  qemu-system-x86   125 [000] K     8.732914:      kvm:kvm_exit: reason npf rip 0x1", ReadLine(system: "kvm")),
    Form("  qemu-system-x86   125  8.732914:    kvm:kvm_exit: reason npf rip 0x1", ReadLine(cpu: nil, system: "kvm")),
    Form(
      "120/125 [000]    kvm:kvm_exit: reason npf rip 0x1", ReadLine(task: nil, process: 120, time: nil, system: "kvm")),
    Form("  qemu-system-x86   125     kvm:kvm_exit: reason npf rip 0x1", ReadLine(cpu: nil, time: nil, system: "kvm")),
    Form("  8.732914:    kvm:kvm_exit: reason npf rip 0x1", ReadLine(task: nil, thread: nil, cpu: nil, system: "kvm")),
    Form(" [000]  8.732914:    kvm:kvm_exit: reason npf rip 0x1", ReadLine(task: nil, thread: nil, system: "kvm")),
    Form(
      " swapper     -1 [000]  8.732914:    kvm:kvm_exit: reason npf rip 0x1",
      ReadLine(task: "swapper", thread: nil, system: "kvm")),
    // names of tasks
    Form(" my task-2: x-125   [000]     8.732914: kvm_exit: reason npf rip 0x1", ReadLine(task: "my task-2: x")),
    Form(" a-1 [000] b-125   [000]     8.732914: kvm_exit: reason npf rip 0x1", ReadLine(task: "a-1 [000] b")),
    Form(" kworker/0:1-125   [000]     8.732914: kvm_exit: reason npf rip 0x1", ReadLine(task: "kworker/0:1")),
    Form(" -125   [000]     8.732914: kvm_exit: reason npf rip 0x1", ReadLine(task: nil)),
    Form(
      "  CPU 0/KVM   125 [000]     8.732914:      kvm:kvm_exit: reason npf rip 0x1",
      ReadLine(task: "CPU 0/KVM", system: "kvm")),
    Form("12345:qemu-system-x86-125   [000]     8.732914: kvm_exit: reason npf rip 0x1", ReadLine()),
    // pasted
    Form("> > qemu-system-x86-125 [000] 8.732914: kvm_exit: reason npf rip 0x1\r", ReadLine()),
    Form("| qemu-system-x86-125 [000] 8.732914: kvm_exit: reason npf rip 0x1  ", ReadLine()),
    Form("qemu-system-x86-125 [000] 8.732914: kvm_exit:", ReadLine(text: "")),
  ])
  func readsEveryForm(_ form: Form) {
    #expect(read("\n" + form.line + "\n").items == [.event(form.expected, number: 2)])
  }

  @Test(arguments: [
    "", "CPU 0", "KVM internal error. Suberror: 1", "EAX=00000000 EBX=00000000 ECX=00000000 EDX=00000000",
    "RIP: 0010:kvm_exit: foo", "[    1.234567] kvm: exiting hardware virtualization", "12:34: kvm_exit: reason",
    "warning: 3: foo: bar", "99999999999999999999.5: kvm_exit: x", "8.1234567890: kvm_exit: x", "8.73291", "::::", "[",
    "]", "-", "(", ")", "- [0] 1.0: x", " 1: ", "12us", "8.5us: a: b",
    "        ffffffff812a88eb x86_decode_emulated_instruction+0x1b ([kernel.kallsyms])",
  ])
  func leavesOtherTextAlone(line: String) {
    let result = read("\n\(line)\n")
    #expect(result.items.isEmpty)
    #expect(result.lines == 2)
    #expect(result.unrecognized == (line.isEmpty ? 0 : 1))
  }

  @Test(arguments: [
    ("CPU:0 [LOST 12 EVENTS]", LostEvents(cpu: 0, count: 12)),
    ("CPU:3 [LOST EVENTS]", LostEvents(cpu: 3, count: nil)),
    ("CPU:1 [12 EVENTS DROPPED]", LostEvents(cpu: 1, count: 12)),
    ("CPU:1 [EVENTS DROPPED]", LostEvents(cpu: 1, count: nil)),
    ("> CPU:1 [EVENTS DROPPED]\r", LostEvents(cpu: 1, count: nil)),
    ("# entries-in-buffer/entries-written: 2/14   #P:1", LostEvents(cpu: nil, count: 12)),
    ("qemu 1 [000] 12.3: PERF_RECORD_LOST lost 12", LostEvents(cpu: nil, count: 12)),
  ])
  func marksHoles(line: String, lost: LostEvents) {
    #expect(read("\n\(line)\n").items == [.lost(lost, number: 2)])
  }

  @Test(arguments: [
    "# tracer: nop", "# entries-in-buffer/entries-written: 2/2   #P:1", "cpus=4", " dies.trace.dat: cpus=1",
    "##### CPU 1 buffer started ####", "   ", "version = 7",
  ])
  func knowsTheHeadings(line: String) {
    let result = read("\n\(line)\n")
    #expect(result.items.isEmpty)
    #expect(result.unrecognized == 0)
  }

  @Test(arguments: [
    ("system-x86-125 [000] 8.732914: kvm_exit: x", ReadLine(task: "system-x86", text: "x") as ReadLine?),
    ("25 [000] 8.732914: kvm_exit: x", ReadLine(task: nil, thread: nil, text: "x")),
    ("00] 8.732914: kvm_exit: x", ReadLine(task: nil, thread: nil, cpu: nil, text: "x")),
    ("2914: kvm_exit: x", nil),
    ("32914.5: kvm_exit: x", ReadLine(task: nil, thread: nil, cpu: nil, time: nil, text: "x")),
    ("it: x", nil),
  ])
  func distrustsNumbersOfACutFirstLine(line: String, expected: ReadLine?) {
    #expect(read(line + "\n").items == expected.map { [.event($0, number: 1)] } ?? [])
  }

  @Test(arguments: [
    ("kvm_exit: reason npf", ["kvm_exit=reason npf"]), ("> \tkvm:kvm_exit: x\r", ["kvm_exit=x"]),
    ("kvm_exit:", ["kvm_exit="]), ("kvm_entry: x", []), ("a kvm_exit: x", []), ("kvm_exit:x", []), ("kvm_exit", []),
    ("q-1 [000] 1.0: kvm_exit: x", ["q kvm_exit=x"]),
  ])
  func readsBareLinesOfKnownEvents(line: String, expected: [String]) {
    let utf8 = "\(line)\n".utf8
    var reader = TextTraceReader(utf8.span) { $0.equals("kvm_exit") }
    var found: [String] = []
    while let item = reader.next() {
      guard case .event(let event) = item else { continue }
      #expect(event.isBare == (event.task == nil))
      let task = event.task?.string
      found.append((task.map { $0 + " " } ?? "") + "\(event.name.string)=\(event.text.string)")
    }
    #expect(found == expected)
    #expect(reader.unrecognizedLineCount == (expected.isEmpty ? 1 : 0))
  }

  @Test(arguments: [
    ("  b", "b" as String?), (">   b", "b"), ("> > \tb", "b"), (">\tb", "b"), ("b", nil), ("> b", nil), ("> > b", nil),
    ("   ", nil), ("  q-1 [000] 1.0: b: c", nil), ("  CPU:0 [LOST 12 EVENTS]", nil), ("  # b", nil),
  ])
  func givesTheRestOfABrokenLine(line: String, rest: String?) {
    let utf8 = "q-1 [000] 1.0: kvm_exit: a\n\(line)\nc\n".utf8
    var reader = TextTraceReader(utf8.span)
    #expect(reader.nextContinuation()?.string == nil)
    _ = reader.next()
    #expect(reader.nextContinuation()?.string == rest)
    #expect(reader.lineCount == (rest == nil ? 1 : 2))
    while reader.next() != nil {}
    #expect(reader.nextContinuation()?.string == nil)
    #expect(reader.lineCount == 3)
  }

  @Test func readsATextCutAnywhereWithoutTrapping() {
    let text = "> a b-125   (  12) [000] d..1.    8.732914:  1 kvm:kvm_exit: x\nCPU:0 [LOST 12 EVENTS]\n"
    let bytes = Array(text.utf8)
    for start in 0...bytes.count {
      for end in start...bytes.count {
        let part = String(decoding: bytes[start..<end], as: UTF8.self)
        let result = read(part)
        #expect(result.items.count <= 2)
        #expect(result.cut == !(part.isEmpty || part.hasSuffix("\n")))
      }
    }
  }
}
