import KVM
import KernelTypes
import Testing
import X86

@Suite struct RegistersAtShutdownTests {
  /// Each field of the probe's record with a value of its own.
  static let values: [(name: String, text: String)] = {
    let general = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"] + (8...15).map { "r\($0)" }
    let control = ["rip", "rflags", "cr0", "cr2", "cr3", "cr4", "efer"]
    let segments = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"].enumerated().flatMap { number, name in
      [
        ("\(name)_selector", "0x\(number + 1)8"), ("\(name)_attrib", "0xa9b"), ("\(name)_limit", "0xffffffff"),
        ("\(name)_base", "0x\(number + 1)000"),
      ]
    }
    return general.enumerated().map { ($1, "0x10\(String($0, radix: 16))") }
      + control.enumerated().map { ($1, "0x20\($0)") } + segments
      + [("gdtr_limit", "0x27"), ("gdtr_base", "0x9000"), ("idtr_limit", "0xfff"), ("idtr_base", "0xa000")]
      + [("vcpu", "0x3"), ("cpl", "0x3")]
  }()

  static func call(_ values: [(name: String, text: String)], of function: String = RegistersAtShutdown.function)
    -> KVMFunctionCall
  {
    KVMFunctionCall(
      function: function, isReturn: false,
      values: values.map { KVMFunctionCall.Value(name: $0.name, text: $0.text) })
  }

  @Test func `each value has its place`() throws {
    let registers = try #require(RegistersAtShutdown(Self.call(Self.values)))
    let state = registers.state
    #expect(registers.vcpu == 3)
    #expect(state.currentPrivilegeLevel == 3)
    #expect(state.generalPurpose.rax == 0x100)
    #expect(state.generalPurpose.rsp == 0x104)
    #expect(state.generalPurpose.r15 == 0x10f)
    #expect([state.rip, state.rflags.rawValue, state.cr0.rawValue, state.cr2] == [0x200, 0x201, 0x202, 0x203])
    #expect([state.cr3, state.cr4.rawValue, state.efer?.rawValue] == [0x204, 0x205, 0x206])
    let segments = [state.es, state.cs, state.ss, state.ds, state.fs, state.gs, state.ldtr, state.tr]
    #expect(segments.map(\.base) == (1...8).map { $0 << 12 })
    #expect(segments.map(\.selector.rawValue) == [0x18, 0x28, 0x38, 0x48, 0x58, 0x68, 0x78, 0x88])
    #expect(segments.allSatisfy { $0.limit == .max && $0.attributes.rawValue == 0xA0_9B00 })
    #expect(state.gdtr == DescriptorTableRegister(base: LinearAddress(0x9000), limit: 0x27))
    #expect(state.idtr == DescriptorTableRegister(base: LinearAddress(0xa000), limit: 0xfff))
  }

  @Test(arguments: values.map(\.name))
  func `a record that lacks a value gives none of them`(name: String) {
    #expect(RegistersAtShutdown(Self.call(Self.values.filter { $0.name != name })) == nil)
    #expect(RegistersAtShutdown(Self.call(Self.values.map { ($0.name, $0.name == name ? "?" : $0.text) })) == nil)
  }

  static let places = values.indices.map { "+\($0)(+160($arg1))"[...] }

  @Test func `a probe can be made again from where its values were`() throws {
    let probe = try #require(RegistersAtShutdown.probe(fetchingFrom: Self.places))
    #expect(probe.function == RegistersAtShutdown.function)
    #expect(probe.arguments.map(\.place) == Self.places.map(String.init))
    #expect(Set(probe.arguments.map(\.field)) == Set(Self.values.map(\.name)))
  }

  @Test(arguments: [
    "", "+8", "+8()", "+8(%di)", "+8($arg2)", "+8($arg1", "+8($arg1))", "+8(+8($arg1)", "-8($arg1)", "+($arg1)",
    "+1234567890($arg1)", "@_stext", "+0(@_stext)", "$arg1:u8 x=$arg1", "+8($arg1)\np:x/y z",
  ])
  func `nothing else is fetched, whatever was kept`(place: String) {
    #expect(RegistersAtShutdown.probe(fetchingFrom: [place[...]] + Self.places.dropFirst()) == nil)
    #expect(RegistersAtShutdown.probe(fetchingFrom: Self.places.dropLast()) == nil)
  }

  @Test func `other functions are not asked`() {
    #expect(RegistersAtShutdown(Self.call(Self.values, of: "kvm_fetch_guest_virt")) == nil)
  }
}
