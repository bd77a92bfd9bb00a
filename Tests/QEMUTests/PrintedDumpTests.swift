import QEMU
import Testing
import X86

/// Registers as other programs than QEMU print them.
@Suite("registers in other programs' forms")
struct PrintedDumpTests {
  private func dump(_ text: String) throws -> RegisterDump {
    let dumps = QEMULog.parse(text).compactMap { entry -> RegisterDump? in
      if case .registerDump(let dump) = entry.message { dump } else { nil }
    }
    return try #require(dumps.count == 1 ? dumps.first : nil, "\(dumps.count) dumps")
  }

  @Test("FreeBSD names its registers in words")
  func freeBSD() throws {
    let text = """
      Fatal trap 12: page fault while in kernel mode
      cpuid = 2; apic id = 02
      fault virtual address\t= 0x28
      fault code\t\t= supervisor read data, page not present
      instruction pointer\t= 0x20:0xffffffff80bd1a2e
      stack pointer\t        = 0x28:0xfffffe00c55b7a10
      frame pointer\t        = 0x28:0xfffffe00c55b7a70
      code segment\t\t= base rx0, limit 0xfffff, type 0x1b
      """
    let dumps = QEMULog.parse(text).compactMap { if case .registerDump(let dump) = $0.message { dump } else { nil } }
    let dump = try #require(dumps.first)
    #expect(dump[.rip] == 0xFFFF_FFFF_80BD_1A2E)
    #expect(dump[.rsp] == 0xFFFF_FE00_C55B_7A10)
    #expect(dump[.rbp] == 0xFFFF_FE00_C55B_7A70)
    #expect(dump[.cr2] == 0x28)
    #expect(dump.exception?.vector == .pageFault)
  }

  @Test("Bochs: the tables are not known, everything else is")
  func bochs() throws {
    let text = """
      00000000500e[CPU0  ] interrupt(long mode): gate descriptor is not valid sys seg
      00000000500i[CPU0  ] CPU is in long mode (active)
      00000000500i[CPU0  ] CS.mode = 64 bit
      00000000500i[CPU0  ] SS.mode = 64 bit
      00000000500i[CPU0  ] EFER   = 0x00000500
      00000000500i[CPU0  ] | RAX=0000000000000001  RBX=ffff800000100f00
      00000000500i[CPU0  ] | RCX=0000000000000002  RDX=0000000000000003
      00000000500i[CPU0  ] | RSP=ffff800000008000  RBP=0000000000000000
      00000000500i[CPU0  ] | RSI=0000000000000000  RDI=0000000000000000
      00000000500i[CPU0  ] |  R8=0000000000000008   R9=0000000000000009
      00000000500i[CPU0  ] | R10=0000000000000000  R11=0000000000000000
      00000000500i[CPU0  ] | R12=0000000000000000  R13=0000000000000000
      00000000500i[CPU0  ] | R14=0000000000000000  R15=000000000000000f
      00000000500i[CPU0  ] | IOPL=0 id vip vif ac vm RF nt of df IF tf SF zf AF PF cf
      00000000500i[CPU0  ] | SEG sltr(index|ti|rpl)     base    limit G D
      00000000500i[CPU0  ] |  CS:0008( 0001| 0|  0) 00000000 00000000 0 0
      00000000500i[CPU0  ] |  DS:0010( 0002| 0|  0) 00000000 00000000 0 0
      00000000500i[CPU0  ] |  SS:0010( 0002| 0|  0) 00000000 00000000 0 0
      00000000500i[CPU0  ] |  ES:0010( 0002| 0|  0) 00000000 00000000 0 0
      00000000500i[CPU0  ] |  FS:0010( 0002| 0|  0) 00000000 00000000 0 0
      00000000500i[CPU0  ] |  GS:0010( 0002| 0|  0) 00000000 00000000 0 0
      00000000500i[CPU0  ] |  MSR_FS_BASE:0000000000000000
      00000000500i[CPU0  ] | RIP=ffff800000100040 (ffff800000100040)
      00000000500i[CPU0  ] | CR0=0xe0000011 CR2=0x0000000000000000
      00000000500i[CPU0  ] | CR3=0x00101000 CR4=0x00000020
      (0).[500] [0x000000100040] 0008:ffff800000100040 (unk. ctxt): movaps xmm0, xmm1 ; 0f28c1
      00000000500e[CPU0  ] exception(): 3rd (13) exception with no resolution, shutdown status is 00h, resetting
      """
    let dump = try dump(text)
    #expect(dump.printer == .bochs && dump.state == nil)
    let state = try #require(dump.stateWithoutTables)
    #expect(state.mode == .long64 && state.rip == 0xFFFF_8000_0010_0040 && state.generalPurpose.r15 == 15)
    #expect(state.rflags.rawValue == 0x1_0296 && state.cr4.rawValue == 0x20 && state.efer?.rawValue == 0x500)
    #expect(dump.code?.atInstructionPointer == [0x0F, 0x28, 0xC1])
    let statements = QEMULog.parse(text).compactMap { entry -> Statement? in
      if case .statement(let statement) = entry.message { statement } else { nil }
    }
    #expect(statements.map(\.isTripleFault) == [false, true])
  }

  @Test("VirtualBox: the guest's registers, not the host's")
  func virtualBox() throws {
    let dump = try dump(
      """
      00:00:07.1 !!         VCPU0: Guru Meditation 1155 (VINF_EM_TRIPLE_FAULT)
      00:00:07.2 Guest CPUM (VCPU 0) state:
      00:00:07.2 eax=00000011 ebx=00000000 ecx=c0000080 edx=00000000 esi=00000000 edi=0000b000
      00:00:07.2 eip=00007c6d esp=00007c00 ebp=00000000 iopl=0         nv up di pl nz na po nc
      00:00:07.2 cs={0008 base=0000000000000000 limit=ffffffff flags=0000c09b}
      00:00:07.2 ds={0010 base=0000000000000000 limit=ffffffff flags=0000c093}
      00:00:07.2 es={0010 base=0000000000000000 limit=ffffffff flags=0000c093}
      00:00:07.2 fs={0010 base=0000000000000000 limit=ffffffff flags=0000c093}
      00:00:07.2 gs={0010 base=0000000000000000 limit=ffffffff flags=0000c093}
      00:00:07.2 ss={0010 base=0000000000000000 limit=ffffffff flags=0000c093}
      00:00:07.2 cr0=0000000000000011 cr2=0000000000000000 cr3=0000000000009000 cr4=0000000000000020
      00:00:07.2 gdtr=0000000000007d00:0017  idtr=0000000000000000:03ff  eflags=00000006
      00:00:07.2 ldtr={0000 base=00000000 limit=0000ffff flags=00000082}
      00:00:07.2 tr  ={0000 base=0000000000000000 limit=0000ffff flags=0000008b}
      00:00:07.2 FPUIP=00000000 CS=0000 Rsrvd1=0000  FPUDP=00000000 DS=0000 Rsvrd2=0000
      00:00:07.2 EFER         =0000000000000100
      00:00:07.3 Host CPUM state:
      00:00:07.3 rax=xxxxxxxxxxxxxxxx rbx=0000000000000000 rcx=0000000000000001 rdx=0000000000000002
      00:00:07.3 rdi=0000000000000004 rsi=0000000000000005
      """)
    let state = try #require(dump.state)
    #expect(state.mode == .protected(bits: 32) && state.rip == 0x7C6D && state.generalPurpose.rcx == 0xC000_0080)
    #expect(state.idtr.limit == 0x3FF && state.gdtr.base.rawValue == 0x7D00 && state.efer?.rawValue == 0x100)
    #expect(state.cs.attributes.rawValue == 0xC0_9B00)
  }

  @Test("EDK2 names the exception, and selectors without descriptors")
  func firmware() throws {
    let dump = try dump(
      """
      !!!! X64 Exception Type - 0D(#GP - General Protection)  CPU Apic ID - 00000000 !!!!
      ExceptionData - 0000000000000018
      RIP  - 000000000E2A1384, CS  - 0000000000000038, RFLAGS - 0000000000010046
      RAX  - 0000000000000000, RCX - 0000000000000001, RDX - 0000000000000000
      R8   - 0000000000000008, R9  - 0000000000000009, R10 - 0000000000000000
      DS   - 0000000000000030, ES  - 0000000000000030, FS  - 0000000000000030
      CR0  - 0000000080010033, CR2 - 0000000000000000, CR3 - 000000000FC01000
      GDTR - 000000000F5EEA98 0000000000000047, LDTR - 0000000000000000
      IDTR - 000000000F086018 0000000000000FFF,   TR - 0000000000000000
      """)
    #expect(dump.exception == RegisterDump.Exception(vector: .generalProtection, errorCode: 0x18))
    #expect(dump[.rip] == 0xE2A_1384 && dump[.r9] == 9 && dump[.cr3] == 0xFC0_1000)
    #expect(dump.selectors[.cs]?.rawValue == 0x38 && dump.segments.isEmpty && dump.state == nil)
    #expect(dump[.idtr]?.limit == 0xFFF && dump[.gdtr]?.limit == 0x47)
  }

  @Test("kvmtool and those that print as it does show whole segments")
  func kvmtool() throws {
    let dump = try dump(
      """
       Registers:
       ----------
       rip: 0000000000001000   rsp: 0000000000002000 flags: 0000000000000002
       rax: 0000000000000001   rbx: 0000000000000000   rcx: 0000000000000000
       rdx: 0000000000000600   rsi: 0000000000000000   rdi: 0000000000000000
       rbp: 0000000000000000    r8: 0000000000000008    r9: 0000000000000000
       r10: 0000000000000000   r11: 0000000000000000   r12: 0000000000000000
       r13: 0000000000000000   r14: 0000000000000000   r15: 0000000000000000
       cr0: 0000000080000011   cr2: 0000000000001000   cr3: 0000000000009000
       cr4: 0000000000000020   cr8: 0000000000000000

       Segment registers:
       ------------------
       register  selector  base              limit     type  p dpl db s l g avl
       cs        0008      0000000000000000  ffffffff  0b    1 0   0  1 1 1 0
       ss        0010      0000000000000000  ffffffff  03    1 0   1  1 0 1 0
       ds        0010      0000000000000000  ffffffff  03    1 0   1  1 0 1 0
       es        0010      0000000000000000  ffffffff  03    1 0   1  1 0 1 0
       fs        0010      0000000000000000  ffffffff  03    1 0   1  1 0 1 0
       gs        0010      0000000000000000  ffffffff  03    1 0   1  1 0 1 0
       tr        0000      0000000000000000  0000ffff  0b    1 0   0  0 0 0 0
       ldt       0000      0000000000000000  0000ffff  02    1 0   0  0 0 0 0
       gdt                 0000000000000500  00000017
       idt                 0000000000000000  00000000

       APIC:
       -----
       efer: 0000000000000500  apic base: 00000000fee00900  nmi: disabled

       Code:
       -----
       rip: [<0000000000001000>] <unknown>

       90 90 90 90 <0f> 0b 90 90 90 90 90 90
      """)
    #expect(dump.code?.atInstructionPointer.prefix(2) == [0x0F, 0x0B])
    let state = try #require(dump.state)
    #expect(state.mode == .long64 && state.rip == 0x1000 && state.cs.attributes.rawValue == 0xA0_9B00)
    #expect(state.idtr.limit == 0 && state.gdtr.base.rawValue == 0x500 && state.generalPurpose.rdx == 0x600)
  }

  private static func segment(_ name: String, _ selector: Int, type: Int, long: Int = 0) -> String {
    "\(name): kvm_segment { base: 0, limit: 4294967295, selector: \(selector), type_: \(type), present: 1, dpl: 0, db: \(1 - long), s: 1, l: \(long), g: 1, avl: 0, unusable: 0, padding: 0 }"
  }

  @Test("structures of KVM as Rust prints them, in one line or many, decimal or hexadecimal", arguments: [false, true])
  func rust(isPretty: Bool) throws {
    let general =
      "kvm_regs { rax: 2147483665, rbx: 0, rcx: 0, rdx: 0, rsi: 0, rdi: 0, rsp: 36864, rbp: 0, r8: 8, r9: 0, r10: 0, r11: 0, r12: 0, r13: 0, r14: 0, r15: 0, rip: 0x10006d, rflags: 134 }"
    let segments =
      [Self.segment("cs", 8, type: 11, long: 1)]
      + ["ds", "es", "fs", "gs", "ss"].map { Self.segment($0, 16, type: 3) }
      + [Self.segment("tr", 0, type: 11), Self.segment("ldt", 0, type: 2)]
    let special =
      "kvm_sregs { \(segments.joined(separator: ", ")), gdt: kvm_dtable { base: 1280, limit: 31, padding: [0, 0, 0] }, idt: kvm_dtable { base: 0, limit: 0, padding: [0, 0, 0] }, cr0: 2147483665, cr2: 1048685, cr3: 36864, cr4: 32, cr8: 0, efer: 1280, apic_base: 4276094208, interrupt_bitmap: [0, 0, 0, 0] }"
    var text = "\(general)\n\(special)\n"
    if isPretty {
      text = text.split(separator: "{ ").joined(separator: "{\n    ").split(separator: ", ").joined(
        separator: ",\n    "
      )
      .split(separator: " }").joined(separator: "\n}")
    }
    let state = try #require(try dump(text).state)
    #expect(state.rip == 0x10_006D && state.rflags.rawValue == 134 && state.generalPurpose.r8 == 8)
    #expect(state.mode == .long64 && state.cr3 == 0x9000 && state.efer?.rawValue == 0x500 && state.idtr.limit == 0)
  }

  @Test("a structure that never ends does not hide what comes behind it")
  func endless() throws {
    let end = "kvm_regs { rax: 1, rbx: 2, rcx: 3, rdx: 4, rip: 0x10006d, rflags: 134 }\n"
    let text = "kvm_regs {\n" + String(repeating: "a line of the log\n", count: 300) + end
    #expect(try dump(text)[.rip] == 0x10_006D)
  }

  @Test("what a kernel in Rust prints of an exception")
  func stackFrame() throws {
    let dump = try dump(
      """
      EXCEPTION: PAGE FAULT
      Accessed Address: VirtAddr(0xcafe0008)
      Error Code: PROTECTION_VIOLATION | CAUSED_BY_WRITE
      InterruptStackFrame {
          instruction_pointer: VirtAddr(
              0x204c6f,
          ),
          code_segment: 8,
          cpu_flags: 0x202,
          stack_pointer: VirtAddr(
              0x57ac001ffe48,
          ),
          stack_segment: 0,
      }
      """)
    #expect(dump.exception == RegisterDump.Exception(vector: .pageFault, errorCode: 3))
    #expect(dump[.rip] == 0x20_4C6F && dump[.rsp] == 0x57AC_001F_FE48 && dump[.cr2] == 0xCAFE_0008)
    #expect(dump.selectors[.cs]?.rawValue == 8 && dump.printer == .stackFrame)
  }

  private static let forms: [(what: String, text: String, registers: [RegisterDump.Register: UInt64])] = [
    (
      "Linux of 32 bits",
      """
      EIP: 0060:[<c10b1f2e>] EFLAGS: 00010246 CPU: 0
      EAX: 00000000 EBX: c1400000 ECX: 00000001 EDX: 00000007
      ESI: c13f8000 EDI: 00000000 EBP: c13f9f80 ESP: c13f9f70
       DS: 007b ES: 007b FS: 00d8 GS: 00e0 SS: 0068
      Code: 85 c0 74 10 <89> 50 04 8b 5d fc c9 c3
      """, [.rip: 0xC10B_1F2E, .rdx: 7, .rsp: 0xC13F_9F70, .rflags: 0x1_0246]
    ),
    (
      "Xen",
      """
      (XEN) RIP:    0010:[<ffffffff810013aa>]
      (XEN) RFLAGS: 0000000000000246   EM: 1   CONTEXT: hvm guest (d5v0)
      (XEN) rax: 0000000000000001   rbx: ffffffff81c00000   rcx: ffffffff810013aa
      (XEN) r15: 0000000000000000   cr0: 0000000080050033   cr4: 00000000001526e0
      (XEN) Xen code around <ffffffff810013aa> (some#function+0xfa/0x160):
      (XEN)  00 b9 a2 06 00 00 0f 30 <80> 3d 71 26 f1 ff 00
      """, [.rip: 0xFFFF_FFFF_8100_13AA, .rax: 1, .cr4: 0x15_26E0, .rflags: 0x246]
    ),
    (
      "GDB",
      """
      rax            0x80000011          2147483665
      rbx            0x0                 0
      rsp            0x7c00              0x7c00
      rip            0x7c6d              0x7c6d <start+4>
      eflags         0x86                [ PF SF ]
      cs             0x8                 8
      cr0            0x80000011          [ PG ET PE ]
      """, [.rax: 0x8000_0011, .rip: 0x7C6D, .rflags: 0x86, .cr0: 0x8000_0011]
    ),
    (
      "a small kernel's own",
      """
        EAX=0  EBX=2500  ECX=0  EDX=100b2d  ESI=7e19  EDI=245c
        ESP=10005e  EBP=ffa4  EIP=1000ba  EFLAGS=202  CS=8  DS=10  SS=10
        Interrupt=b  Error=402
      """, [.rbx: 0x2500, .rip: 0x10_00BA, .rflags: 0x202]
    ),
  ]

  /// What kernels print of an exception, with what must be read of it.
  private static let exceptions: [(text: String, vector: ExceptionVector, code: UInt32?, rip: UInt64, cr2: UInt64?)] = [
    // NetBSD 10 and OpenBSD 6.3, sys/arch/amd64/amd64/trap.c: trap_print, trap
    (
      """
      fatal page fault in supervisor mode
      trap type 6 code 0x2 rip 0xffffffff80245a10 cs 0x8 rflags 0x10246 cr2 0x18 ilevel 0 rsp 0xffff9d813f6c1d10
      """, .pageFault, 2, 0xFFFF_FFFF_8024_5A10, 0x18
    ),
    (
      """
      fatal protection fault in supervisor mode
      trap type 4 code 0 rip ffffffff81345a10 cs 8 rflags 10246 cr2  7f7ff000 cpl 0 rsp ffffffff825109e0
      """, .generalProtection, 0, 0xFFFF_FFFF_8134_5A10, 0x7F7F_F000
    ),
    // OpenBSD's ddb, sys/ddb/db_sym.c and arch/amd64/amd64/db_interface.c
    (
      """
      kernel: page fault trap, code=0
      rdi               0xffff800000012200
      rsi                                0
      rax                                0
      rip               0xffffffff81345a10    attach+0x42
      cs                               0x8
      rsp               0xffffffff825109e0    end+0x3109e0
      """, .pageFault, nil, 0xFFFF_FFFF_8134_5A10, nil
    ),
    // Zephyr 3.7, arch/x86/core/fatal.c: dump_page_fault, dump_regs
    (
      """
      [00:00:00.010,000] <err> os: Page fault at address 0xdead1000 (error code 0x2)
      [00:00:00.010,000] <err> os: Access violation: supervisor thread not allowed to write
      [00:00:00.010,000] <err> os: RAX: 0x00000000dead1000 RBX: 0x0000000000000000 RCX: 0x0000000000000001
      [00:00:00.010,000] <err> os: RSP: 0x0000000000119fd0 RFLAGS: 0x0000000000000246 CS: 0x0018
      [00:00:00.010,000] <err> os: RIP: 0x00000000001012a4
      """, .pageFault, 2, 0x10_12A4, 0xDEAD_1000
    ),
    // Nanos, src/x86_64/interrupt.c: print_frame
    (
      """
       interrupt: 000000000000000e (Page fault)
           frame: ffffc00000002000
      error code: 0000000000000002
         address: 0000000000000018

         rax: 0000000000000018
         rsp: ffffc00000a0fe10
         rip: ffffffff80054a10 (main + 0000000000000021)
      rflags: 0000000000010046
      """, .pageFault, 2, 0xFFFF_FFFF_8005_4A10, 0x18
    ),
    // OSv, core/mmu.cc: vm_sigsegv
    (
      """
      page fault outside application, addr: 0x0000000000000010
      [registers]
      RIP: 0x00000000403a1b20 <main+16>
      RFL: 0x0000000000010246  CS:  0x0000000000000008  SS:  0x0000000000000010
      """, .pageFault, nil, 0x403A_1B20, 0x10
    ),
    // illumos, uts/i86pc/os/trap.c: dumpregs
    (
      """
      sched: #pf Page fault
      Bad kernel fault at addr=0x18
      cr2: 18 cr3: 1dc00000 cr8: 0
              rdi:                0 rsi:                1 rdx:                0
              trp:                e err:                2 rip: fffffffffb801a2c
      """, .pageFault, 2, 0xFFFF_FFFF_FB80_1A2C, 0x18
    ),
    // A screen of one's own, of a few values
    (
      "PANIC: Page Fault\nFaulting address: 0x18\nError code: 0x0\nRIP: 0xffffffff80001234\n", .pageFault, 0,
      0xFFFF_FFFF_8000_1234, 0x18
    ),
    (
      "Exception 13 (General Protection Fault) err=0x18\n rip: 0x101a2c   cs: 0x8\n", .generalProtection, 0x18,
      0x10_1A2C, nil
    ),
    (
      "Interrupt 0xE fired! Error: 0x2\nEIP: 0x101a2c CS: 0x8 EFLAGS: 0x10046\nCR2: 0x18\n", .pageFault, 2, 0x10_1A2C,
      0x18
    ),
    // The crate trapframe, as Rust's {:#?} prints it
    (
      "information: TrapFrame {\n    rax: 0x0,\n    rbx: 0x1,\n    trap_num: 0xe,\n    error_code: 0x2,\n    rip: 0xffffffff80001234,\n},\n",
      .pageFault, 2, 0xFFFF_FFFF_8000_1234, nil
    ),
    // Patina, core/patina_internal_cpu
    (
      "ERROR - EXCEPTION: PAGE FAULT\nERROR - Accessed Address: 0x18\nERROR - Instruction Pointer: 0x7CC2EFB8\nERROR - Code Segment: 0x38\nERROR - Error Code: 0x2\n",
      .pageFault, 2, 0x7CC2_EFB8, 0x18
    ),
    // SerenityOS, Kernel/Arch/x86: handle_crash
    (
      "Unrecoverable page fault, write to address V0xc004b000\nCRASH: CPU #0 Page Fault. Ring 0.\nexception code: 0002 (isr: 0000)\n  pc=0008:001483ba flags=0206\neax=c004b000 ebx=00000001 ecx=00000002 edx=00000003\n",
      .pageFault, 2, 0x14_83BA, 0xC004_B000
    ),
    // Solo5, bindings/cpu_x86_64.c: cpu_trap_handler
    (
      "Solo5: trap: type=#PF ec=0x3 rip=0x4653af rsp=0xa0000 rflags=0x10003\nSolo5: trap: cr2=0x9fff8\n", .pageFault, 3,
      0x46_53AF, 0x9_FFF8
    ),
    // Redox of 2016
    (
      "INT E: Page fault\n  CS:  00000008    IP:  00000010    FLG: 00010002\n  SP:  041B5000    BP:  05FACD28\n  CR0: 80010033    CR2: 00000018\n",
      .pageFault, nil, 0x10, 0x18
    ),
    // Pascal
    (
      "Page Fault Exception\nError Code = 2\nEAX        = $FF000004\nEIP        = $001024DE\nFaulting Address = $FF000004\n",
      .pageFault, 2, 0x10_24DE, 0xFF00_0004
    ),
    // Linux's pointer as a web page's link
    (
      "invalid opcode\nRIP: e030:[ [<ffffffff81001234>](<ffffffff81001234>]) f+0x25f/0x270\nRSP: e02b:ffff88007858dce0\n",
      .invalidOpcode, nil, 0xFFFF_FFFF_8100_1234, nil
    ),
    // CR2 that is printed behind is the register, whatever the words before it were about.
    ("Page fault at 0x101a2c\nRIP: 0x101a2c CR2: 0x18 RSP: 0x7ff0\n", .pageFault, nil, 0x10_1A2C, 0x18),
  ]

  @Test("an exception with its code and its address, as kernels print it", arguments: exceptions.indices)
  func exception(_ index: Int) throws {
    let expected = Self.exceptions[index]
    let dump = try dump(expected.text)
    #expect(dump.exception == RegisterDump.Exception(vector: expected.vector, errorCode: expected.code))
    #expect(dump[.rip] == expected.rip && dump[.cr2] == expected.cr2)
  }

  @Test(
    "a vector of two digits that may be decimal is none, but 14 is a page fault's: no guest gets #VE",
    arguments: [("13", nil), ("14", .pageFault), ("0x14", .virtualization)] as [(String, ExceptionVector?)])
  func decimalVector(_ number: String, _ vector: ExceptionVector?) throws {
    let dump = try dump("vector: \(number), error: 2\nrax: 0x0 rbx: 0x1 rip: 0x101a2c rsp: 0x7ff0\n")
    #expect(dump.exception?.vector == vector)
  }

  @Test("an exception without a place is told where words, vector and code name it, or an address does")
  func placeless() throws {
    let screen = try dump("CPU EXCEPTION: 'Page fault' (INT:14 ERR:2) !\n")
    #expect(screen.exception == RegisterDump.Exception(vector: .pageFault, errorCode: 2))
    let text = "[INT] Exception 14\n[INT] Error code: 0x2\n[INT] RFLAGS: 0x10282\n[INT] Fault address (CR2): 0x29\n"
    let dump = try dump(text)
    #expect(dump.exception == RegisterDump.Exception(vector: .pageFault, errorCode: 2) && dump[.cr2] == 0x29)
    for line in ["IRQ INT:14 ERR:2\n", "page fault handler, int 14\n", "Exception 13 err 0x2\n"] {
      #expect(QEMULog.parse(line).allSatisfy { if case .registerDump = $0.message { false } else { true } }, "\(line)")
    }
  }

  @Test("a function's name in a list of calls names no exception of the registers above it")
  func symbols() throws {
    let text = """
      RAX: 0000000000000000 RBX: 0000000000000002 RCX: 0000000000000003
      RDX: 0000000000000004 RSI: 0000000000000005 RDI: 0000000000000006
      Call Trace:
       do_double_fault+0x9f/0x130
       page_fault+0x1e/0x30
      """
    #expect(try dump(text).exception == nil)
  }

  @Test("of two faults that are told before the registers, the second's own code and address count")
  func secondFault() throws {
    let text = """
      E: Page fault at address 0x158 (error code 0x0)
      E: Page fault at address (nil) (error code 0x2)
      E: RAX: 0x0000000000000001 RBX: 0x000000000011a280 RCX: 0x0000000000000001 RDX: 0x00000000000000ff
      """
    let dump = try dump(text)
    #expect(dump.exception == RegisterDump.Exception(vector: .pageFault, errorCode: 2) && dump[.cr2] == 0)
  }

  @Test("xhyve's names of fields in the VMCS are the registers', and a syslog's tabs are none of a name")
  func prefixes() throws {
    let text = """
      Feb 1 10:00:00 mac Docker[9]: VMCS_GUEST_CR0:                0x0000000080050033
      Feb 1 10:00:00 mac Docker[9]: VMCS_GUEST_IA32_EFER:          0x0000000000000d01
      Feb 1 10:00:00 mac Docker[9]: rip: 0xffffffff81841afd rfl: 0x0000000000010083 cr2: 0xffff88033fc04ff8
      """
    let vmcs = try dump(text)
    #expect(vmcs[.cr0] == 0x8005_0033 && vmcs[.efer] == 0xD01 && vmcs[.rip] == 0xFFFF_FFFF_8184_1AFD)
    let tabs = "#011rdi: fffffb04121c30d0 rsi: 1906a rdx: e9ae2300\n#011trp: e err: 0 rip: fffffffff7d23563\n"
    let dump = try dump(tabs)
    #expect(dump[.rdi] == 0xFFFF_FB04_121C_30D0 && dump.exception?.vector == .pageFault)
  }

  @Test("Xen's second account begins another dump")
  func xenTwice() {
    let text = """
      (XEN) rax: 0000000000000001   rbx: 0000000000000002   rcx: 0000000000000003
      (XEN) cr3: 0000000000001000   cr2: 0000000000000004
      (XEN) ----[ Xen-4.17  x86_64  debug=n  Not tainted ]----
      (XEN) RIP:    0010:[<ffffffff81000010>]
      (XEN) rdx: 0000000000000005   rsi: 0000000000000006   rdi: 0000000000000007
      """
    let dumps = QEMULog.parse(text).compactMap { if case .registerDump(let dump) = $0.message { dump } else { nil } }
    #expect(dumps.map { $0[.rip] } == [nil, 0xFFFF_FFFF_8100_0010])
  }

  @Test("a dump with QEMU's names and RFL of 16 digits is another program's, from its first line on")
  func qemuNames() throws {
    let text = """
      + RAX=0000000000000001 RBX=0000000000000002 RCX=0000000000000003 RDX=0000000000000004 +
      + RIP=ffffffff80001234 RFL=0000000000010086 _CS=0000000000000028 _SS=0000000000000030 +
      + ERR=0000000000000048 INT=000000000000000d _DS=0000000000000030 RES=0000000000000000 +
      """
    let dump = try dump(text)
    #expect(dump.printer == .another && dump[.rax] == 1 && dump[.rflags] == 0x1_0086)
    #expect(dump.exception == RegisterDump.Exception(vector: .generalProtection, errorCode: 0x48))
    #expect(dump.selectors[.cs]?.rawValue == 0x28 && dump.lines == 1...3)
  }

  @Test("names and values in many forms", arguments: forms)
  func values(_ form: (what: String, text: String, registers: [RegisterDump.Register: UInt64])) throws {
    let dump = try dump(form.text)
    if ["Xen", "Linux of 32 bits"].contains(form.what) { #expect(dump.code?.atInstructionPointer.first != nil) }
    for (register, value) in form.registers { #expect(dump[register] == value, "\(form.what): \(register)") }
  }

  @Test("what only looks like registers is none")
  func nothing() {
    let texts = [
      "the flags: cs=1, es=2 are options\n", "kvm_cpuid: func 0 rax d rbx 756e6547 rcx 6c65746e rdx 49656e69\n",
      "rip: 1000 is where it died\n", "error: 5, vector: 3\n", "kvm_regs {", "kvm_regs { rax: ",
      "InterruptStackFrame {}\n", "a page fault at address 0x18, and the return address: 0x10\nrax: 0x1\n",
    ]
    for text in texts {
      #expect(QEMULog.parse(text).allSatisfy { if case .registerDump = $0.message { false } else { true } }, "\(text)")
    }
  }
}
