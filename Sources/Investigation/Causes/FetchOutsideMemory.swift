import X86

/// `execution.outside-ram`: RIP leads to where there is no memory, or to a device.
struct FetchOutsideMemory: SingleCause {
  static let id = "execution.outside-ram"
  static let title = "RIP is where there is no memory"

  private let pointer: LinearAddress
  private let memory: UnavailableMemory
  /// RIP itself and the base of CS, where that moves it.
  private let offset: (rip: UInt64, base: UInt64)?
  /// CR3, where paging is off although it was loaded.
  private let idleRoot: UInt64?

  /// Whether it was not looked up where RIP leads: the window of the VGA lies at these addresses on every PC.
  let isAssumed: Bool

  /// Nil unless the instruction at RIP has to be fetched from there.
  ///
  /// - Parameters:
  ///   - isFailedEmulation: Whether KVM says that it could not emulate the instruction.
  ///   - named: The address that TCG's message names, which lies behind RIP: that is where the block began.
  init?(_ next: NextInstruction, at state: ProcessorState, isFailedEmulation: Bool, named: UInt64?) {
    pointer = state.instructionAddress
    offset = pointer.rawValue == state.rip ? nil : (state.rip, state.cs.base)
    idleRoot = !state.cr0.contains(.paging) && state.cr0.contains(.protectionEnable) && state.cr3 != 0 ? state.cr3 : nil
    isAssumed = next.outsideMemory == nil && named == nil
    // In SMM the window may be SMRAM, which nothing outside SMM sees.
    if state.isInSMM == true, PCMemory.vgaWindow.contains(pointer.rawValue) { return nil }
    if let memory = next.outsideMemory {
      self.memory = memory
    } else if let named {
      memory = UnavailableMemory(address: PhysicalAddress(named), reason: .unbacked)
    } else if isFailedEmulation, PCMemory.vgaWindow.contains(pointer.rawValue), next.certainException == nil {
      memory = UnavailableMemory(address: PhysicalAddress(pointer.rawValue), reason: .device)
    } else {
      return nil
    }
  }

  var summary: String {
    let place = memory.address.rawValue
    let what =
      PCMemory.vgaWindow.contains(place)
      ? "the window of the VGA" : memory.reason == .device ? "a device" : "no memory at all"
    if pointer.rawValue != place, place &- pointer.rawValue < 0x1_0000 {
      return
        "Execution ran on from \(name) \(pointer.rawValue.hexadecimal) to \(place.hexadecimal): \(what). Instructions cannot be fetched from there: TCG gives up with a fatal message, KVM with an internal error. "
        + resetVector
    }
    return
      "\(whereabouts), which is physical \(place.hexadecimal): \(what). Instructions cannot be fetched from there: KVM "
      + "gives up with an internal error (suberror 1), TCG with a fatal message.\(withoutPaging)"
  }

  private var name: String { offset == nil ? "RIP" : "the linear address" }

  private var whereabouts: String {
    guard let offset else { return "RIP is \(pointer.rawValue.hexadecimal)" }
    return
      "IP is \(offset.rip.hexadecimal) in a CS with base \(offset.base.hexadecimal), together \(pointer.rawValue.hexadecimal)"
  }

  /// The upper half of 32 bits, where kernels are linked to and no PC has code but the firmware's.
  private var withoutPaging: String {
    guard let idleRoot, (0x8000_0000..<0xFEC0_0000).contains(pointer.rawValue) else { return "" }
    return
      " Paging is off, although CR3 is \(idleRoot.hexadecimal): an address of the upper half, as kernels are linked to, leads somewhere only once CR0.PG is set."
  }

  /// The end of the flash below 4 GiB is the code of the reset vector, which is of 16 and 32 bits.
  private var resetVector: String {
    guard (0xFFFF_FF00...0xFFFF_FFFF).contains(pointer.rawValue) else { return "" }
    return
      "RIP is at the end of the flash, in the 16- and 32-bit code of the reset vector: what led there was a wrong jump, of the firmware or of what executes it. If the same firmware lives under KVM, or with another version of "
      + "QEMU, TCG is at fault."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "find out what jumped there: a bad pointer, a return address that was overwritten, code that ran on through empty memory",
        "The address is mapped, or paging is off, but nothing answers with code.")
    ]
      + (withoutPaging.isEmpty
        ? []
        : [
          .guest("set CR0.PG before the jump to the kernel's linked address", "Until then addresses are physical.")
        ])
  }

  static let manual = """
    The processor comes to an address that is mapped, or reached without paging, and where the machine has no memory: a device's window, such as
    the VGA's at A0000H, or nothing.

    ## How to recognise it

    `KVM internal error. Suberror: 1`, with `Code=` all `??`; under TCG `Trying to execute code outside RAM or ROM`, or, where an
    instruction lies across the end of memory, an abort by ``Assertion `phys_page != -1' failed``. `inquest walk RIP` shows where RIP leads. Where TCG reads zeroes, it executes them and goes on, slowly, without a word: the guest hangs.

    ## Why

    A jump through a bad pointer; memory full of zeroes executed up to the VGA's window; an image loaded beyond the memory that `-m` gives; a
    physical address computed wrongly.

    ## The cure

    Look at what is on the stack, and at the last branches of the trace.

    Linux arch/x86/kvm/x86.c: kvm_fetch_guest_virt; QEMU accel/tcg/cputlb.c: get_page_addr_code, accel/tcg/translator.c:
    translator_access, 7.2.
    """
}
