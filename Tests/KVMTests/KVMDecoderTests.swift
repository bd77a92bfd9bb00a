import KVM
import Testing
import Traces
import X86

/// A record in this layout with these values, and bytes for the field that is no integer.
func record(_ format: EventFormat, _ values: [String: UInt64], bytes: [UInt8] = []) -> [UInt8] {
  var record = [UInt8](repeating: 0, count: format.minimumRecordSize)
  for field in format.commonFields + format.fields {
    if case .array(_, let count) = field.kind {
      for index in 0..<min(count, bytes.count) { record[field.offset + index] = bytes[index] }
      continue
    }
    var value = values[field.name] ?? 0
    if case .dataLocation = field.kind {
      value = UInt64(record.count) | UInt64(bytes.count) << 16
      record += bytes
    }
    for index in 0..<field.size { record[field.offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
  }
  return record
}

@Suite struct KVMDecoderTests {
  /// A format with these fields, one after the other, each as `TYPE NAME:SIZE`; a minus sign before SIZE: signed.
  static func format(_ name: String, _ declarations: [String]) throws -> EventFormat {
    var text = "name: \(name)\nID: 7\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n"
    var offset = 8
    for declaration in declarations {
      let parts = declaration.split(separator: ":")
      let size = try #require(Int(parts[1]))
      offset = (offset + abs(size) - 1) / abs(size) * abs(size)
      text += "\tfield:\(parts[0]);\toffset:\(offset);\tsize:\(abs(size));\tsigned:\(size < 0 ? 1 : 0);\n"
      offset += abs(size)
    }
    return try EventFormat(parsing: text + "\n", system: "kvm", machine: .amd64)
  }

  struct Layout: Sendable, CustomTestStringConvertible {
    var kernel: String
    var name: String
    var fields: [String]
    var values: [String: UInt64]
    var event: KVMEvent
    var testDescription: String { "\(name) of \(kernel)" }
  }

  @Test(arguments: [
    Layout(
      kernel: "5.4", name: "kvm_entry", fields: ["unsigned int vcpu_id:4"], values: ["vcpu_id": 2],
      event: .entry(vcpu: 2, rip: nil)),
    Layout(
      kernel: "5.10", name: "kvm_entry", fields: ["unsigned int vcpu_id:4", "unsigned long rip:8"],
      values: ["vcpu_id": 2, "rip": 0xfff0], event: .entry(vcpu: 2, rip: 0xfff0)),
    Layout(
      kernel: "5.4", name: "kvm_exit",
      fields: ["unsigned int exit_reason:4", "unsigned long guest_rip:8", "u32 isa:4", "u64 info1:8", "u64 info2:8"],
      values: ["exit_reason": 0x8000_0021, "guest_rip": 0x7c00, "isa": 1, "info1": 5, "info2": 6],
      event: .exit(
        KVMExit(vendor: .vmx, reasonName: "INVALID_STATE", reason: 0x8000_0021, rip: 0x7c00, info1: 5, info2: 6))),
    Layout(
      kernel: "5.10", name: "kvm_exit",
      fields: [
        "unsigned int exit_reason:4", "unsigned long guest_rip:8", "u32 isa:4", "u64 info1:8", "u64 info2:8",
        "u32 intr_info:4", "u32 error_code:4", "unsigned int vcpu_id:4",
      ],
      values: ["exit_reason": 0x7f, "guest_rip": 0x10006d, "isa": 2, "intr_info": 0x8000_0b0e, "error_code": 9],
      event: .exit(
        KVMExit(
          vendor: .svm, reasonName: "shutdown", reason: 0x7f, rip: 0x10006d, vcpu: 0, info1: 0, info2: 0,
          interruptionInfo: 0x8000_0b0e, errorCode: 9))),
    Layout(
      kernel: "5.10", name: "kvm_page_fault", fields: ["unsigned long fault_address:8", "unsigned int error_code:4"],
      values: ["fault_address": 0xfe05b, "error_code": 0x14],
      event: .pageFault(address: 0xfe05b, errorCode: 0x14, rip: nil)),
    Layout(
      kernel: "5.10", name: "kvm_inj_exception", fields: ["u8 exception:1", "u8 has_error:1", "u32 error_code:4"],
      values: ["exception": 14, "has_error": 1, "error_code": 9],
      event: .injectException(vector: .pageFault, errorCode: 9, isReinjected: false)),
    Layout(
      kernel: "5.15", name: "kvm_inj_virq", fields: ["unsigned int irq:4"], values: ["irq": 236],
      event: .injectInterrupt(vector: 236, isSoft: false, isReinjected: false)),
    Layout(
      kernel: "4.19", name: "kvm_mmu_get_page",
      fields: [
        "unsigned long mmu_valid_gen:8", "__u64 gfn:8", "__u32 role:4", "__u32 root_count:4", "bool unsync:1",
        "bool created:1",
      ],
      values: ["gfn": 0x102, "role": 0x1704, "root_count": 1, "created": 1],
      event: .shadowPage(
        KVMShadowPage(
          action: .get(isNew: true), frame: 0x102, level: 4, quadrant: 0, isDirect: false,
          access: [.write, .user, .execute], rootCount: 1, isUnsynchronized: false))),
    Layout(
      kernel: "6.1", name: "kvm_userspace_exit", fields: ["__u32 reason:4", "int errno:-4"],
      values: ["reason": 2, "errno": UInt64(bitPattern: -4)], event: .userspaceExit(reason: .interrupted, errno: -4)),
    Layout(
      kernel: "6.1", name: "kvm_userspace_exit", fields: ["__u32 reason:4", "int errno:-4"], values: ["reason": 8],
      event: .userspaceExit(reason: .shutdown, errno: nil)),
    Layout(
      kernel: "4.19", name: "kvm_cpuid",
      fields: [
        "unsigned int function:4", "unsigned long rax:8", "unsigned long rbx:8", "unsigned long rcx:8",
        "unsigned long rdx:8", "bool found:1",
      ],
      values: ["function": 1, "rax": 2, "found": 1],
      event: .cpuid(function: 1, index: nil, eax: 2, ebx: 0, ecx: 0, edx: 0, found: true)),
    Layout(
      kernel: "the future", name: "kvm_cr",
      fields: ["u64 new_field:8", "unsigned long val:8", "unsigned int cr:4", "unsigned int rw:4"],
      values: ["rw": 1, "cr": 4, "val": 0x20], event: .controlRegister(isWrite: true, number: 4, value: 0x20)),
    Layout(
      kernel: "nowhere", name: "kvm_cr", fields: ["unsigned int cr:4", "unsigned int rw:4"], values: [:],
      event: .undecodable(name: "kvm_cr", reason: "the field val is missing")),
    Layout(
      kernel: "the future", name: "kvm_new_event", fields: ["__u32 apicid:4", "int vector:-4"],
      values: ["apicid": 1, "vector": 236], event: .other(name: "kvm_new_event", text: "apicid=1 vector=236")),
    Layout(
      kernel: "4.5", name: "kvm_enter_smm", fields: ["unsigned int vcpu_id:4", "u64 smbase:8", "bool entering:1"],
      values: ["vcpu_id": 1, "smbase": 0x30000, "entering": 1],
      event: .systemManagementMode(vcpu: 1, base: 0x30000, isEntry: true)),
    Layout(
      kernel: "5.15", name: "kvm_async_pf_doublefault", fields: ["__u64 gva:8", "u64 gfn:8"],
      values: ["gva": 0x1000, "gfn": 7], event: .asyncPageFault(.repeat(guestAddress: 0x1000, frame: 7))),
    Layout(
      kernel: "5.10", name: "kvm_apicv_update_request", fields: ["bool activate:1", "unsigned long bit:8"],
      values: ["bit": 3], event: .apicVirtualization(.inhibit(reason: 3, isSet: true, inhibits: nil))),
    Layout(
      kernel: "5.15", name: "kvm_apicv_update_request", fields: ["bool activate:1", "int reason:-4"],
      values: ["activate": 1, "reason": 2],
      event: .apicVirtualization(.inhibit(reason: 2, isSet: false, inhibits: nil))),
    Layout(
      kernel: "4.5", name: "kvm_ple_window",
      fields: ["bool grow:1", "unsigned int vcpu_id:4", "int new:-4", "int old:-4"],
      values: ["grow": 1, "vcpu_id": 1, "new": 8192, "old": 4096],
      event: .pauseLoopWindow(vcpu: 1, old: 4096, new: 8192)),
    Layout(
      kernel: "4.5", name: "kvm_pi_irte_update",
      fields: [
        "unsigned int vcpu_id:4", "unsigned int gsi:4", "unsigned int gvec:4", "u64 pi_desc_addr:8", "bool set:1",
      ],
      values: ["vcpu_id": 1, "gsi": 24, "gvec": 0x31, "pi_desc_addr": 0x1000, "set": 1],
      event: .apicVirtualization(
        .postedInterrupt(hostInterrupt: nil, vcpu: 1, gsi: 24, vector: 0x31, isPosted: true))),
    Layout(
      kernel: "6.18", name: "kvm_pi_irte_update",
      fields: ["unsigned int host_irq:4", "int vcpu_id:-4", "unsigned int gsi:4", "unsigned int gvec:4", "bool set:1"],
      values: ["host_irq": 60, "vcpu_id": UInt64(bitPattern: -1), "gsi": 24],
      event: .apicVirtualization(
        .postedInterrupt(hostInterrupt: 60, vcpu: -1, gsi: 24, vector: 0, isPosted: false))),
    Layout(
      kernel: "4.5", name: "kvm_nested_intercepts",
      fields: ["__u16 cr_read:2", "__u16 cr_write:2", "__u32 exceptions:4", "__u64 intercept:8"],
      values: ["cr_read": 1, "cr_write": 2, "exceptions": 3, "intercept": 0x4_0000_0005],
      event: .nestedIntercepts(
        controlReads: 1, controlWrites: 2, exceptions: 3, instructions: 0x4_0000_0005, extended: nil)),
    Layout(
      kernel: "4.5", name: "kvm_nested_vmrun",
      fields: [
        "__u64 rip:8", "__u64 vmcb:8", "__u64 nested_rip:8", "__u32 int_ctl:4", "__u32 event_inj:4", "bool npt:1",
      ],
      values: ["rip": 1, "vmcb": 2, "nested_rip": 3, "event_inj": 0x8000_0030, "npt": 1],
      event: .nestedEntry(
        KVMNestedEntry(
          rip: 1, nestedRIP: 3, eventInjection: EventInformation(rawValue: 0x8000_0030), usesNestedPaging: true))),
    Layout(
      kernel: "4.5", name: "kvm_nested_vmexit",
      fields: [
        "__u64 rip:8", "__u32 exit_code:4", "__u64 exit_info1:8", "__u64 exit_info2:8", "__u32 exit_int_info:4",
        "__u32 exit_int_info_err:4", "__u32 isa:4",
      ],
      values: ["rip": 1, "exit_code": 0x4e, "exit_info1": 2, "exit_info2": 3, "isa": 2],
      event: .nestedExit(
        KVMExit(
          vendor: .svm, reasonName: "PF excp", reason: 0x4e, rip: 1, info1: 2, info2: 3, interruptionInfo: 0,
          errorCode: 0))),
    Layout(
      kernel: "4.5", name: "kvm_hv_hypercall",
      fields: [
        "__u16 rep_cnt:2", "__u16 rep_idx:2", "__u64 ingpa:8", "__u64 outgpa:8", "__u16 code:2", "bool fast:1",
      ],
      values: ["code": 8, "fast": 1, "ingpa": 0x10],
      event: .hyperV(
        .hypercall(
          code: 8, isFast: true, variableHeaderSize: nil, repeatCount: 0, repeatStart: 0, input: 0x10, output: 0))),
    Layout(
      kernel: "5.4", name: "kvm_age_page",
      fields: ["u64 hva:8", "u64 gfn:8", "u8 level:1", "u8 referenced:1"],
      values: ["hva": 0x7f00_0000_0000, "gfn": 9, "level": 1, "referenced": 1],
      event: .hostMemory(.aged(address: 0x7f00_0000_0000, frame: 9, wasUsed: true))),
    Layout(
      kernel: "4.5", name: "kvm_mmu_invalidate_zap_all_pages",
      fields: ["unsigned long mmu_valid_gen:8", "unsigned int mmu_used_pages:4"], values: ["mmu_used_pages": 12],
      event: .zapAll(pageCount: 12)),
    Layout(
      kernel: "6.19", name: "kvm_vm_set_mem_attributes",
      fields: ["gfn_t start:8", "gfn_t end:8", "unsigned long attr:8"],
      values: ["start": 0x100, "end": 0x200, "attr": 8],
      event: .hostMemory(.setAttributes(start: 0x100, end: 0x200, attributes: 8))),
  ])
  func decodesTheLayoutsOfManyKernels(_ layout: Layout) throws {
    let format = try Self.format(layout.name, layout.fields)
    let decoder = try #require(KVMDecoder(format: format))
    #expect(decoder.decode(record(format, layout.values).span.record) == layout.event)
  }

  @Test(arguments: [0, 3, 15, 40], ["formats-6.18.txt", "formats-6.1.txt"])
  func decodesAnInstruction(length: Int, formatFile: String) throws {
    let format = try #require(try formats(in: "traces/\(formatFile)").first { $0.name == "kvm_emulate_insn" })
    let bytes = (1...15).map { UInt8($0) }
    let record = record(
      format, ["rip": 0xec2f, "csbase": 0xf0000, "len": UInt64(length), "flags": 5, "failed": 1], bytes: bytes)
    let emulation = KVMEmulation(
      codeSegmentBase: 0xf0000, rip: 0xec2f, bytes: Array(bytes.prefix(length)), mode: "prot32", failed: true)
    #expect(try #require(KVMDecoder(format: format)).decode(record.span.record) == .emulateInstruction(emulation))
  }

  @Test func decodesAMessage() throws {
    let format = try #require(
      try formats(in: "traces/formats-6.18.txt").first { $0.name == "kvm_nested_vmenter_failed" })
    let record = record(format, ["err": 7], bytes: Array("bad CR0\0".utf8))
    #expect(
      try #require(KVMDecoder(format: format)).decode(record.span.record)
        == .nestedEntryFailed(message: "bad CR0", error: 7))
  }

  @Test(arguments: ["formats-6.18.txt", "formats-6.1.txt"])
  func knowsEveryEventOfRealKernels(formatFile: String) throws {
    var typed = 0
    for format in try formats(in: "traces/\(formatFile)") {
      guard let decoder = KVMDecoder(format: format) else {
        #expect(format.system != "kvm" && format.system != "kvmmmu")
        continue
      }
      #expect(decoder.isTyped, "\(format.name)")
      typed += decoder.isTyped ? 1 : 0
      let bytes = record(format, ["level": 1, "type": 1])
      if case .undecodable(let name, let reason) = decoder.decode(bytes.span.record) {
        Issue.record("\(name): \(reason)")
      }
      // A record that was cut says so, however short it is.
      for length in 0..<bytes.count { _ = decoder.decode(bytes.span.extracting(0..<length).record) }
      guard case .undecodable = decoder.decode(bytes.span.extracting(0..<8).record) else {
        Issue.record("\(format.name) decodes without its fields")
        continue
      }
    }
    #expect(typed == 109)
  }
}

@Suite struct ExitTests {
  @Test(arguments: [
    (UInt32(0x8000_0b0d), "#GP" as String?), (0x8000_0b0e, "#PF"), (0x8000_0202, "NMI"),
    (0x8000_0030, "interrupt 0x30"),
    (0x8000_0480, "INT 0x80"), (0x8000_0603, "#BP"), (0x0000_0b0e, nil), (0, nil),
  ])
  func readsEventInformation(word: UInt32, name: String?) {
    #expect(EventInformation(rawValue: word).name == name)
  }

  @Test func readsTheDataOfAnEmulationFailure() {
    // kvm_pvm of Linux 6.18, measured.
    let error = InternalError(
      rawSuberror: 1, data: [0x1, 0x07fc_0fc3_6e0f_480f, 0xfdebf4, 0x1000, 0, 0, 0, 0])
    #expect(error.suberror == .emulation)
    #expect(
      error.instructionBytes
        == [0x48, 0x0f, 0x6e, 0xc3, 0x0f, 0xfc, 0x07, 0xf4, 0xeb, 0xfd, 0, 0, 0, 0, 0])
    #expect(error.exit?.reason == 0x1000)
    #expect(InternalError(rawSuberror: 1, data: []).instructionBytes == nil)
    #expect(InternalError(rawSuberror: 1, data: [0, 7, 0, 0, 0, 0]).exit?.reason == 7)
    #expect(InternalError(rawSuberror: 1, data: [0, 7, 0, 0, 0, 0]).instructionBytes == nil)
    #expect(InternalError(rawSuberror: 9, data: []).suberror == nil)
  }

  @Test func readsPortAccesses() {
    // From the capture: IOIO at 0xec16 with EXITINFO1 700010 is the write to port 0x70 that kvm_pio then shows.
    let write = PortAccess(exitInfo1: 0x700010)
    #expect([write?.port] == [0x70])
    #expect([write?.size] == [1])
    #expect([write?.isIn] == [false])
    let read = PortAccess(exitInfo1: 0xcfc0041)
    #expect([read?.port] == [0xcfc])
    #expect([read?.size] == [4])
    #expect([read?.isIn] == [true])
    let intel = PortAccess(exitQualification: 0x3f8_0008)
    #expect([intel?.port] == [0x3f8])
    #expect([intel?.isIn] == [true])
    #expect(PortAccess(exitQualification: 2) == nil)
    #expect(PortAccess(exitInfo1: 0) == nil)
  }

  @Test(arguments: [
    (UInt64(0x181), "read of an address that EPT does not map"), (0x182, "write of an address that EPT does not map"),
    (0x81, "read of a page table of the guest that EPT does not map"),
    (0x1bc, "fetch of an address that EPT does not allow"),
  ])
  func putsEPTViolationsInWords(qualification: UInt64, words: String) {
    #expect(EPTViolationQualification(rawValue: qualification).description == words)
  }
}
