import Investigation
import QEMU
import Testing
import X86

/// What is concluded from registers that other programs than QEMU print.
@Suite("registers of other programs in a verdict")
struct PrintedDumpObservationTests {
  private func verdict(_ text: String) -> Verdict {
    var scene = Scene()
    scene.log = Sourced.messages(of: QEMULog.parse(text), named: "log")
    for entry in scene.log {
      guard case .registerDump(let dump) = entry.value, let state = dump.state ?? dump.stateWithoutTables else {
        continue
      }
      scene.processors = [
        ObservedProcessor(index: 0, state: state, source: entry.source, knowsTables: dump.state != nil)
      ]
    }
    return Investigator.verdict(on: scene)
  }

  private static func bochs(cr4: String, code: String) -> String {
    let data = ["DS", "SS", "ES", "FS", "GS"].map { "1i[CPU0  ] |  \($0):0010( 0002| 0|  0) 00000000 ffffffff 1 1" }
    return """
      1e[CPU0  ] interrupt(): gate descriptor is not valid sys seg (vector=0x06)
      1e[CPU0  ] interrupt(): gate descriptor is not valid sys seg (vector=0x0d)
      1i[CPU0  ] CPU is in protected mode (active)
      1i[CPU0  ] CS.mode = 32 bit
      1i[CPU0  ] EFER   = 0x00000000
      1i[CPU0  ] | EAX=00000001  EBX=00000002  ECX=00000003  EDX=00000004
      1i[CPU0  ] | ESP=00009000  EBP=00000000  ESI=00000000  EDI=00000000
      1i[CPU0  ] | IOPL=0 id vip vif ac vm rf nt of df if tf sf zf af pf cf
      1i[CPU0  ] |  CS:0008( 0001| 0|  0) 00000000 ffffffff 1 1
      \(data.joined(separator: "\n"))
      1i[CPU0  ] | EIP=00007c40 (00007c40)
      1i[CPU0  ] | CR0=0x00000011 CR2=0x00000000
      1i[CPU0  ] | CR3=0x00000000 CR4=\(cr4)
      (0).[1] [0x000000007c40] 0008:00007c40 (unk. ctxt): what it is ; \(code)
      1e[CPU0  ] exception(): 3rd (13) exception with no resolution, shutdown status is 00h, resetting
      """
  }

  @Test("Bochs's triple fault is explained by the instruction; of tables that it does not show, nothing is said")
  func bochs() {
    let verdict = verdict(Self.bochs(cr4: "0x00000000", code: "0f28c1"))
    #expect(verdict.outcome == .died && verdict.cause?.id == "cpu.feature-not-enabled")
    #expect(verdict.cause?.confidence == .likely)
    let texts = (verdict.observations + verdict.evidence + verdict.chain).map(\.text)
    #expect(
      texts.allSatisfy { !$0.contains("The IDT (") && !$0.contains("whether 0x60") && !$0.contains("GDT (limit") })
    #expect(texts.count { $0.contains("found no gate in the IDT for vector 0x6, #UD") } == 1)
    #expect(texts.allSatisfy { !$0.contains("vector 0xd") })
    #expect(self.verdict(Self.bochs(cr4: "0x00000200", code: "0f28c1")).cause == nil)
  }

  @Test(
    "other monitors' words for a triple fault count as one, what may be said of anything does not",
    arguments: [
      ("A fault has occurred causing a virtual CPU to enter the shutdown state.", true),
      ("(XEN) d3v0 Triple fault - invoking HVM shutdown action 1", true),
      (
        "'vm' was reset because an unrecoverable error occurred on a virtual processor that caused a triple fault.",
        true
      ),
      ("00:00:07 !! VCPU0: Guru Meditation 1155 (VINF_EM_TRIPLE_FAULT)", true),
      ("00:00:07 !! VCPU0: Guru Meditation -2701 (VERR_VMX_UNABLE_TO_START_VM)", false),
      ("1p[CPU0  ] >>PANIC<< exception(): 3rd (13) exception with no resolution", true),
      ("thread 'vcpu' panicked: unexpected exit reason: Shutdown", false),
      ("qemu-system-x86_64.exe: WHPX: Unexpected VP exit code 4", true),
      ("qemu-system-x86_64.exe: WHPX: Unexpected VP exit code 0x00000004", true),
      ("qemu-system-x86_64.exe: WHPX: Unexpected VP exit code 4096", false), ("VCPU shutdown request", false),
    ])
  func words(_ words: String, isTripleFault: Bool) {
    #expect((verdict("\(words)\n").outcome == .died) == isTripleFault)
  }

  @Test("a QEMU that halts at a triple fault, behind the registers, and what they prove of the step to protected mode")
  func halted() {
    let segments = ["ES", "CS", "SS", "DS", "FS", "GS"].map {
      "\($0) =0000 00000000 0000ffff 0000\($0 == "CS" ? "9b" : "93")00 DPL=0 \($0 == "CS" ? "CS16 [-RA]" : "DS16 [-WA]")"
    }
    let verdict = verdict(
      """
      EAX=00000011 EBX=00000000 ECX=00000000 EDX=00000080
      ESI=00000000 EDI=00000000 EBP=00000000 ESP=00006f20
      EIP=00007c2d EFL=00000006 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=0
      \(segments.joined(separator: "\n"))
      LDT=0000 00000000 0000ffff 00008200 DPL=0 LDT
      TR =0000 00000000 0000ffff 00008b00 DPL=0 TSS32-busy
      GDT=     00000000 00000000
      IDT=     00000000 000003ff
      CR0=00000011 CR2=00000000 CR3=00000000 CR4=00000000
      EFER=0000000000000000
      Triple fault.  Halting for inspection via QEMU monitor.

      """)
    #expect(verdict.outcome == .died && verdict.cause == nil)
    for words in ["the far jump that loads CS has not been made, or is what fails", "no entry behind the null one"] {
      #expect(verdict.observations.contains { $0.text.contains(words) }, "\(words)")
    }
  }

  @Test("KVM_EXIT_SHUTDOWN is a death where the registers are no reset's")
  func shutdownExit() {
    let whole = Self.bochs(cr4: "0x00000000", code: "0f28c1").split(separator: "\n").dropLast().joined(separator: "\n")
    #expect(verdict("\(whole)\nKVM exit reason: 8 (\"KVM_EXIT_SHUTDOWN\")\n").cause?.id == "cpu.feature-not-enabled")
    #expect(verdict("KVM exit reason: 8 (\"KVM_EXIT_SHUTDOWN\")\n").outcome == .undetermined)
  }

  private static let kernels: [(text: String, words: [String])] = [
    (
      """
      Unhandled Exception: Segment Not Present
        EAX=0  EBX=2500  ECX=0  EDX=100b2d  ESI=7e19  EDI=245c
        ESP=10005e  EBP=ffa4  EIP=1000ba  EFLAGS=202  CS=8  DS=10  SS=10
        Interrupt=b  Error=402
      """, ["#NP, error code 0x402, at 0x1000ba, CPL 0", "IDT's entry of vector 0x80: the gate is not present"]
    ),
    (
      """
      EXCEPTION: PAGE FAULT
      Accessed Address: VirtAddr(0x57ac001ffff8)
      Error Code: CAUSED_BY_WRITE
      InterruptStackFrame {
          instruction_pointer: VirtAddr(0x204c6f),
          code_segment: 8,
          cpu_flags: 0x202,
          stack_pointer: VirtAddr(0x57ac00200000),
          stack_segment: 0,
      }
      """, ["#PF of address 0x57ac001ffff8", "8 bytes below the stack pointer", "supervisor write of a page"]
    ),
    (
      """
      !!!! X64 Exception Type - 06(#UD - Invalid Opcode)  CPU Apic ID - 00000000 !!!!
      RIP  - 00000000000B0000, CS  - 0000000000000038, RFLAGS - 0000000000000246
      RAX  - 0000000000000000, RCX - 0000000000000000, RDX - 0000000000000000
      CR0  - 0000000080010033, CR2 - 0000000000000000, CR3 - 0000000007C01000
      """, ["#UD, at 0xb0000, CPL 0", "in the VGA window", "root table at physical 0x7c01000"]
    ),
    (
      """
      [int] DOUBLE FAULT: InterruptStackFrame {
          instruction_pointer: VirtAddr(0x1000077931a),
          code_segment: SegmentSelector { index: 1, rpl: Ring0 },
          cpu_flags: RFlags(SIGN_FLAG | 0x2),
          stack_pointer: VirtAddr(0x0),
          stack_segment: SegmentSelector { index: 2, rpl: Ring0 }
      }
      [int] the rest
      CR2=0xfffffffffffffff8  CR3=0x0000000000101000
      """, ["#DF, at 0x1000077931a, CPL 0", "8 bytes below the stack pointer, which is 0"]
    ),
    (
      """
      GPF Error code: 0x1b
      Stack frame: InterruptStackFrame {
          instruction_pointer: VirtAddr(0xffffffff800c99a7),
          code_segment: SegmentSelector { index: 5, rpl: Ring3 },
          cpu_flags: RFlags(0x202),
          stack_pointer: VirtAddr(0xffff800003be8e60),
          stack_segment: SegmentSelector { index: 0, rpl: Ring0 },
      }
      """, ["#GP, error code 0x1b, at 0xffffffff800c99a7, CPL 3", "names the IDT's entry of vector 0x3"]
    ),
    (
      """
      1.553 [Applet(24:24)]: CRASH: CPU #0 Page Fault in ring 0
      1.553 [Applet(24:24)]:     pc=0x0008:0xc1000960 eflags=0x00010246
      1.553 [Applet(24:24)]:    eax=0x00000000 ebx=0x00000000 ecx=0x00000000 edx=0x00000000
      1.553 [Applet(24:24)]:    cr0=0x80010013 cr2=0xc1000960 cr3=0x04ab7000 cr4=0x003006e4
      """, ["#PF of address 0xc1000960", "CR2 is RIP (0xc1000960)", "CPL 0"]
    ),
    (
      """
      BUG: unable to handle kernel NULL pointer dereference at 00000042
      Oops: 0002 [#1] SMP
      EIP: do_panic+0x8/0x10 [panic]
      EFLAGS: 00010246 CPU: 0
      EAX: 00000061 EBX: 00000101 ECX: 000002d8 EDX: 00000000
      ESI: c8817000 EDI: c8819200 EBP: c780ff34 ESP: c780ff34
      CR0: 80050033 CR2: 00000042 CR3: 0716b000 CR4: 00000690
      EIP: default_idle+0xa/0x10
      EAX: c15c97c0 EBX: 00000000 ECX: 00000000 EDX: 00000001
      ESI: 00000000 EDI: 00000000 EBP: c15c3f48 ESP: c15c3f48
      """, ["#PF of address 0x42", "a null pointer, or one with a small offset"]
    ),
    (
      "Caught cap fault in send phase at address (nil)\nvm fault on data at address 0x18 with status 0x6\n",
      ["a user write of a page that is not present", "no triple fault"]
    ),
    ("(XEN) domain_crash called from p2m-pod.c:1218\n", ["Xen ended the domain itself"]),
    ("Received ENOSYS error because KVM failed to emulate an instruction.\n", ["KVM could not emulate an instruction"]),
    ("VCPU shutdown request\n", ["HAXM stopped the processor"]),
    (
      "PANIC: PAGE FAULT\nInstruction pointer: 0xffffffff80001234\nFaulting virtual address: 0x00000000d0810014\nError code: CAUSED_BY_WRITE\n",
      ["#PF of address 0xd0810014, error code 0x2, at 0xffffffff80001234"]
    ),
    ("Unexpected exit reason on vcpu run: InternalError)\n", ["The monitor got KVM_EXIT_INTERNAL_ERROR"]),
    ("unexpected trap 14 from cpu 0 eip 80104b12 (cr2=0x7dfffffc)\n", ["xv6's kernel met #PF in its own code"]),
    (
      """
      1e[CPU0  ] check_cs(0x0010): not a valid code segment !
      1e[CPU0  ] interrupt(): gate descriptor is not valid sys seg (vector=0x0d)
      """, ["Bochs says what it refused: the code selector of a far transfer"]
    ),
    (
      """
      EIP: 0060:[<c10b1f2e>] EFLAGS: 00010246 CPU: 0
      EAX: 00000000 EBX: c1400000 ECX: 00000001 EDX: 00000007
      ESI: c13f8000 EDI: 00000000 EBP: c13f9f80 ESP: c13f9f70
      Code: 85 c0 74 10 <89> 50 04 8b 5d fc c9 c3
      """, ["RIP is 0xc10b1f2e, CPL 0", "`mov [eax+0x4], edx`", "it writes 4 bytes at 0x4"]
    ),
    (
      "Unhandled Trap 8 (double fault), error code=0x0\nRIP: 0000000000165d51 CS: 0008\nRSP: 0000000400070000 SS: 0010 EFLAGS: 00010206\nRAX: 0000000000000002 RBX: 0000000000165d54\n",
      ["names #DF", "The stack pointer (0x400070000) is at the beginning of a page"]
    ),
    (
      "INT E: Page fault\n CS: 00000008 IP: 00000000 FLG: 00010002\n CR0: 80010033 CR2: 00000000\n",
      ["at 0x0, CPL 0", "RIP and CR2 are both 0: a null pointer was called"]
    ),
    (
      "Exception: 0xD (General Protection Fault)\nError Code: 0x0\nRIP:  0xFFFFFFFF80020BAC\nRDI: 0x000B4B7CF6938000\nRSP: 0xFFFF8000852DC470\nCR4: 0x620\n",
      ["names #GP, error code 0x0", "RDI (0xb4b7cf6938000) holds no canonical address"]
    ),
    (
      "Page fault\nerror code: 0000000000000002\naddress: 0000000280d9b4e8\nrax: 0000000280d9b4e8\nrip: 000000007f01cfea\n",
      ["CR2, the address of the last page fault, is what RAX holds"]
    ),
    (
      "CRASH: CPU #0 Page Fault. Ring 0.\n  pc=0008:c0187d47 flags=0206\neax=00583da0 ebx=c01151e0 ecx=c027c8a0 edx=00583da1\nebp=c1d6ffa0 esp=c1d6fee8 esi=c027c260 edi=00000000\ncr0=80010013 cr2=c0800000 cr3=07c65000 cr4=00300ee4\ncode: 0f b6 04 06 89 93 2c 1e\n",
      ["it reads 1 byte at 0xc0800000"]
    ),
  ]

  @Test("of registers that are not shown, nothing is said")
  func unshown() {
    func texts(_ code: String) -> [String] {
      let text = """
        trap general protection (vector 0x000000000000000d, error 0x0000000000000020)
          rip    0xffffffff80121097  rsp    0xffffc00008b1ffd8  rflags 0x0000000000010086
          bytes at rip: \(code)
        """
      return verdict(text).observations.map(\.text)
    }
    let iret = texts("48 cf 50 53 51 52 56 57")
    #expect(iret.contains { $0.contains("`iretq`") && $0.contains("it reads 40 bytes at 0xffffc00008b1ffd8") })
    #expect(iret.allSatisfy { !$0.contains("not enabled") })
    let move = texts("48 89 18 90 90 90 90 90")
    #expect(move.contains { $0.contains("`mov [rax], rbx`") })
    #expect(move.allSatisfy { !$0.contains("RAX is") && !$0.contains("it writes") })
    #expect(texts("0f 58 c1 90 90 90 90 90").allSatisfy { !$0.contains("not enabled") && !$0.contains("OSFXSR") })
  }

  @Test("a page fault in virtual-8086 mode is at no level that its selector tells")
  func virtualMode() {
    let verdict = verdict(
      "CPU exception 0x0e err=0x00000007 cr2=0ab06814 in vm86\nEIP: f000:0000feb3 ESP: 05a5:000001fa\nEAX: 00000808 EBX: 00000810 ECX: 00000001 EDX: 000006d6\n"
    )
    #expect(verdict.observations.contains { $0.text.contains("#PF of address 0xab06814, error code 0x7") })
    #expect(verdict.observations.allSatisfy { !$0.text.contains("CPL") })
  }

  @Test("flags of 0 are no processor's, so the registers beside them are not the fault's")
  func zeroFlags() {
    let verdict = verdict(
      "general protection fault in task 1\n eip: 0x00000000 eflags: 0x00000000\n eax: 0x00000000 ebx: 0x00000000\n intr: 0x0000000d error: 0x00000000\n"
    )
    #expect(verdict.observations.map(\.text).contains { $0.hasPrefix("The flags are 0, which no processor has") })
    #expect(verdict.observations.allSatisfy { !$0.text.contains("at 0x0") })
  }

  @Test("what an exception's handler prints is told, and is no death", arguments: kernels)
  func handled(_ kernel: (text: String, words: [String])) {
    let verdict = verdict(kernel.text)
    #expect(verdict.outcome == .undetermined && verdict.cause == nil)
    for words in kernel.words {
      #expect(verdict.observations.contains { $0.text.contains(words) }, "\(words)")
    }
  }

  private static let bhyve: [(text: String, words: [String])] = [
    (
      "vm exit[1]\n\treason\t\tVMX\n\trip\t\t0x000000000010b3f2\n\tinst_length\t0\n\tstatus\t\t0\n"
        + "\texit_reason\t33 (VM-entry failure due to invalid guest state)\n\tqualification\t0x0000000000000000\n",
      ["vCPU 1 left the guest at RIP 0x10b3f2", "exit reason 33 (0x21)", "refused to enter the guest"]
    ),
    (
      "vm exit[0]\n\treason\t\tSVM\n\trip\t\t0x000000000010b3f2\n\tinst_length\t0\n\texitcode\t0xffffffffffffffff\n",
      ["VMEXIT_INVALID"]
    ),
    (
      "vm exit[0]\n\treason\t\tSVM\n\trip\t\t0x10b3f2\n\texitcode\t0x400\n\texitinfo1\t0x100000004\n\texitinfo2\t0xfebd0000\n",
      ["exit code 0x400", "EXITINFO2 0xfebd0000"]
    ),
    (
      "Failed to emulate instruction sequence [ 0f1107 ] at 0x10b3f2\n",
      ["0f 11 07, in 64-bit code `movups [rdi], xmm0`"]
    ),
    (
      "Failed to emulate instruction [0x0f 0x11 0x07] at 0x10b3f2\n",
      ["at 0x10b3f2: 0f 11 07, in 64-bit code `movups [rdi], xmm0`"]
    ),
    ("Failed to emulate instruction sequence [", ["of which it has no bytes"]),
  ]

  @Test("bhyve's words on an exit that it does not handle are told, and end the guest", arguments: bhyve)
  func bhyveExit(_ log: (text: String, words: [String])) {
    let verdict = verdict(log.text)
    #expect(verdict.outcome == .died && verdict.cause == nil)
    for words in log.words { #expect(verdict.observations.contains { $0.text.contains(words) }, "\(words)") }
  }
}
