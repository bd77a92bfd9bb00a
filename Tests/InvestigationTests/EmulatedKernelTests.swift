import Investigation
import KVM
import QEMU
import Testing
import X86

/// Deaths on kvm_pvm, which emulates a guest's kernel, lets programs run by themselves, and records no RIP.
@Suite("a guest whose kernel is emulated")
struct EmulatedKernelTests {
  private func scene(_ change: (inout SmallGuest) -> Void, trace: [KVMEvent]) -> Scene {
    var guest = SmallGuest()
    guest.accelerator = .kvm
    change(&guest)
    var scene = guest.scene
    scene.host.vendorModule = Sourced("kvm_pvm", .host("/sys/module"))
    scene.trace = Story.records(trace)
    return scene
  }

  /// A program whose SYSCALL led to an instruction that raises nothing, with interrupts on and no IDT.
  private func afterSystemCall(_ change: (inout SmallGuest) -> Void = { _ in }) -> Scene {
    scene(
      {
        $0.memory.store([0x66, 0xBA, 0xF8, 0x03], at: 0x10_0000)  // mov dx, 0x3f8
        $0.memory.store([0x0F, 0x05], at: 0x11_0000)
        // Pages of the user's.
        for (place, entry) in [(SmallGuest.pml4, SmallGuest.pdpt), (SmallGuest.pdpt, SmallGuest.directory)] {
          $0.memory.store(entry | 0x27, at: place)
        }
        $0.memory.store(0xE7, at: SmallGuest.directory)
        $0.state.cs = SmallGuest.segment(0x23, 0x00AF_FB00)
        $0.state.ss = SmallGuest.segment(0x1B, 0x00CF_F300)
        $0.state.currentPrivilegeLevel = 3
        $0.state.idtr.limit = 0
        $0.state.rflags = RFLAGS(rawValue: 0x202)
        $0.state.generalPurpose.rcx = 0x11_0002
        $0.state.generalPurpose.r11 = 0x202
        change(&$0)
      }, trace: [.userspaceExit(reason: .shutdown, errno: nil)])
  }

  @Test("a SYSCALL that was begun and not finished is no interrupt")
  func systemCall() {
    let cause = Investigator.verdict(on: afterSystemCall()).cause
    #expect(cause?.id == "emulation.system-call")
    #expect(cause?.confidence == .likely)
  }

  @Test("without a SYSCALL before RCX, or with other flags, it is not said")
  func noSystemCall() {
    let other = afterSystemCall { $0.memory.store([0x90, 0x90], at: 0x11_0000) }
    #expect(Investigator.verdict(on: other).cause?.id != "emulation.system-call")
    let flags = afterSystemCall { $0.state.generalPurpose.r11 = 0x246 }
    #expect(Investigator.verdict(on: flags).cause?.id != "emulation.system-call")
  }

  @Test(
    "a fetch that succeeds tells that the first exception had a handler",
    arguments: [(true, ExceptionVector.generalProtection), (false, .pageFault)])
  func handled(_ isHandled: Bool, _ first: ExceptionVector) {
    let fetch: [KVMEvent] = [
      .pagetableWalk(address: LinearAddress(0x7000), access: .fetch), .pagingElement(entry: 0xE3, level: 2),
    ]
    let trace: [KVMEvent] =
      [
        .pagetableWalk(address: LinearAddress(0x80_0000), access: .write), .walkerError(.write),
        .injectException(vector: .pageFault, errorCode: 2, isReinjected: false),
      ] + (isHandled ? fetch : []) + [
        .injectException(vector: .generalProtection, errorCode: 0xB0, isReinjected: false),
        .userspaceExit(reason: .shutdown, errno: nil),
      ]
    let scene = scene({ $0.memory.store([0x48, 0xCF], at: 0x10_0000) }, trace: trace)  // iretq
    #expect(Investigator.verdict(on: scene).fault?.vector == first)
  }
}
