import Foundation
import KernelTypes
import Testing

/// A kernel's BTF, with what a second reader says of it.
struct KernelBTF {
  let types: BTF
  let bpftool: Bpftool

  /// Nil, with the reason printed, where there is none.
  init?(kernel: String, module: String? = nil) throws {
    guard let bytes = FileManager.default.contents(atPath: kernel) else {
      print("KernelTypesTests: no BTF of this machine's kernel: \(kernel) cannot be read")
      return nil
    }
    guard let bpftool = try Bpftool(module ?? kernel, base: module == nil ? nil : kernel) else {
      print("KernelTypesTests: nothing to compare BTF with: there is no bpftool")
      return nil
    }
    let own = try BTF(Array(bytes))
    self.bpftool = bpftool
    types =
      try module.map { path in
        try BTF(Array(try Data(contentsOf: URL(filePath: path))), base: own)
      } ?? own
  }

  /// The functions that the account of the failure with 1 GiB pages names.
  static let functions = [
    "kvm_fetch_guest_virt", "kvm_vcpu_read_guest_page", "x86_decode_insn", "x86_emulate_instruction",
    "handle_ept_misconfig", "handle_mmio_page_fault", "paging64_gva_to_gpa", "nonpaging_gva_to_gpa",
    "paging64_walk_addr", "paging64_walk_addr_generic", "__is_rsvd_bits_set", "reset_rsvds_bits_mask",
    "__reset_rsvds_bits_mask", "guest_cpuid_has_gbpages",
  ]

  /// Those of them that every kernel with KVM has been seen to have as functions of their own.
  static let presentFunctions = functions.filter {
    [
      "kvm_fetch_guest_virt", "kvm_vcpu_read_guest_page", "x86_decode_insn", "x86_emulate_instruction",
      "paging64_gva_to_gpa", "nonpaging_gva_to_gpa", "paging64_walk_addr_generic",
    ].contains($0)
  }

  func expectFunctions() {
    for name in Self.functions {
      let function = types.function(named: name)
      #expect(function?.prototype.parameters.map(\.name) == bpftool.parameters(of: name), "\(name)")
    }
    for name in Self.presentFunctions { #expect(types.function(named: name) != nil, "\(name)") }
  }

  /// Each parameter in its register, in order.
  func expectParameters() throws {
    let registers = (1...6).map { "$arg\($0)" }
    for name in Self.presentFunctions {
      let function = try #require(types.function(named: name))
      for (parameter, register) in zip(function.prototype.parameters, registers) {
        #expect(try types.fetch(.parameter(parameter.name), of: function).place == register, "\(name) \(parameter)")
      }
    }
  }

  /// Members lie where bpftool has them.
  func expectMembers() throws {
    let fetch = try fetched("kvm_fetch_guest_virt", "ctxt->_eip")
    #expect(fetch.place == "+\(try offset("_eip", "x86_emulate_ctxt"))($arg1)")
    #expect(fetch.fetchType == "x64")
    let level = try fetched("paging64_walk_addr_generic", "walker->level")
    #expect(level.place == "+\(try offset("level", "guest_walker64"))($arg1)")
    #expect(level.fetchType == "s32")
    let entry = try fetched("paging64_walk_addr_generic", "walker->ptes[2]")
    #expect(entry.place == "+\(try offset("ptes", "guest_walker64") + 16)($arg1)")
    let error = try fetched("paging64_walk_addr_generic", "walker->fault.error_code")
    let inner = try offset("fault", "guest_walker64") + offset("error_code", "x86_exception")
    #expect(error.place == "+\(inner)($arg1)")
    #expect(error.field == "walker_fault_error_code")
    let root = try fetched("paging64_walk_addr_generic", "vcpu->arch.cr3")
    #expect(root.place == "+\(try offset("arch", "kvm_vcpu") + offset("cr3", "kvm_vcpu_arch"))($arg2)")
    let pointer = try fetched("paging64_walk_addr_generic", "mmu->gva_to_gpa")
    #expect(pointer.place == "+\(try offset("gva_to_gpa", "kvm_mmu"))($arg3)")
    #expect(pointer.fetchType == "symbol")
    #expect(pointer.form == .function)
  }

  /// A cast where the kernel has `void *`.
  func expectCast() throws {
    let pointer = try fetched(
      "kvm_fetch_guest_virt", "((struct kvm_vcpu *)ctxt->vcpu)->arch.walk_mmu->gva_to_gpa")
    let vcpu = try offset("vcpu", "x86_emulate_ctxt")
    let mmu = try offset("arch", "kvm_vcpu") + offset("walk_mmu", "kvm_vcpu_arch")
    #expect(pointer.place == "+\(try offset("gva_to_gpa", "kvm_mmu"))(+\(mmu)(+\(vcpu)($arg1)))")
    #expect(pointer.fetchType == "symbol")
    #expect(throws: ResolutionError.self) { try fetched("kvm_fetch_guest_virt", "ctxt->vcpu->arch") }
  }

  func expectRefusals() throws {
    for text in ["nothing", "ctxt", "addr->x", "ctxt.eip", "ctxt->nothing", "*ctxt", "exception->vector.x"] {
      let function = try #require(types.function(named: "kvm_fetch_guest_virt"))
      guard text != "ctxt" else { continue }
      #expect(throws: ResolutionError.self, "\(text)") { try types.fetch(Expression(text), of: function) }
    }
  }

  /// Enumerators in conditions, and the lines that define the events.
  func expectProbes() throws {
    let function = try #require(types.function(named: "kvm_fetch_guest_virt"))
    func probe(_ condition: String) throws -> FunctionProbe {
      try types.probe(
        function, [Expression("addr"), Expression("ctxt->mode")], when: Condition(condition), wantsReturn: true)
    }
    let found = try probe("ctxt->mode == X86EMUL_MODE_PROT16")
    #expect(found.condition == (try Condition("ctxt->mode == 2")))
    #expect(throws: ResolutionError.self) { try probe("ctxt->mode == X86EMUL_MODE_PROT") }
    #expect(throws: ResolutionError.self) { try probe("addr == X86EMUL_MODE_PROT16") }
    let mode = "ctxt_mode=+\(try offset("mode", "x86_emulate_ctxt"))($arg1):u32"
    let event = "kvm_fetch_guest_virt__return"
    let lines: [(FunctionProbe.Mechanism, String, String)] = [
      (.kprobe, "p:g/kvm_fetch_guest_virt kvm_fetch_guest_virt", "r:g/\(event) kvm_fetch_guest_virt"),
      (.fprobe, "f:g/kvm_fetch_guest_virt kvm_fetch_guest_virt", "f:g/\(event) kvm_fetch_guest_virt%return"),
    ]
    #expect(found.events == ["kvm_fetch_guest_virt", event])
    for (mechanism, entry, exit) in lines {
      #expect(
        found.definition(of: "kvm_fetch_guest_virt", group: "g", by: mechanism) == "\(entry) addr=$arg2:x64 \(mode)")
      #expect(found.definition(of: event, group: "g", by: mechanism) == "\(exit) ret=$retval:s32")
    }
  }

  func expectAll() throws {
    try expectProbes()
    expectFunctions()
    try expectParameters()
    try expectMembers()
    try expectCast()
    try expectRefusals()
  }

  private func fetched(_ function: String, _ expression: String) throws -> FetchArgument {
    try types.fetch(Expression(expression), of: #require(types.function(named: function)))
  }

  private func offset(_ member: String, _ structure: String) throws -> Int {
    try #require(bpftool.offset(of: member, in: structure), "\(structure).\(member)")
  }
}

@Suite("BTF of this machine's kernel, as bpftool reads it")
struct HostBTFTests {
  @Test("the functions of the account, their parameters and their structures' members")
  func all() throws {
    guard let kernel = try KernelBTF(kernel: "/sys/kernel/btf/vmlinux"),
      kernel.types.function(named: "kvm_fetch_guest_virt") != nil
    else { return print("KernelTypesTests: this machine's kernel has no KVM of its own") }
    try kernel.expectAll()
    let fetch = try #require(kernel.types.function(named: "kvm_fetch_guest_virt"))
    let text = "int kvm_fetch_guest_virt(struct x86_emulate_ctxt *ctxt, gva_t addr, void *val, unsigned int bytes, "
    #expect(kernel.types.prototype(of: fetch) == text + "struct x86_exception *exception)")
  }

  @Test("bytes that are no BTF, and BTF with bytes changed, end in an error or in types")
  func damaged() throws {
    #expect(throws: BTFError.self) { try BTF([]) }
    #expect(throws: BTFError.self) { try BTF([UInt8](repeating: 0, count: 4096)) }
    guard let kernel = FileManager.default.contents(atPath: "/sys/kernel/btf/vmlinux") else { return }
    let bytes = Array(kernel)
    #expect(throws: BTFError.self) { try BTF(Array(bytes.prefix(bytes.count / 2))) }
  }
}

@Suite(
  "in the lab: BTF of its kernel and of its kvm module",
  .enabled("make lab-test runs it") { ProcessInfo.processInfo.environment["INQUEST_LAB"] != nil })
struct InLabBTFTests {
  @Test("the functions of the account, their parameters and their structures' members")
  func all() throws {
    let root = URL(filePath: #filePath).appending(path: "../../..").standardizedFileURL.path
    let folder = FileManager.default.temporaryDirectory.path + "/inquest-btf-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let copy = "cp /sys/kernel/btf/vmlinux /sys/kernel/btf/kvm $RESULTS"
    _ = try outputOf("\(root)/Lab/run", ["--results", folder, "bash", "-c", copy])
    let kernel = try #require(try KernelBTF(kernel: "\(folder)/vmlinux", module: "\(folder)/kvm"))
    try kernel.expectAll()
  }
}
