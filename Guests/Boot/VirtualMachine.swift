import Processor

/// A virtual machine of the guest's own, by AMD's SVM: its control block (VMCB; APM vol. 2, appendix B), and nested tables
/// that put memory at its physical address 0.
public struct VirtualMachine: Sendable {
  /// The control block, 4 KiB of RAM behind the image, which QEMU leaves zero.
  private let block: UInt64
  /// Where the memory of the virtual machine is.
  public let memory: UInt64

  /// - Parameters:
  ///   - block: A multiple of 4096, below 1 GiB.
  ///   - memory: A multiple of 2 MiB.
  ///   - pageCount: How many pages of 2 MiB it has.
  public init(block: UInt64, memory: UInt64, pageCount: Int) {
    self.block = block
    self.memory = memory
    let directory = PageTable()
    // To the nested tables each access is a user's (APM vol. 2, 15.25.5).
    for page in 0..<pageCount {
      directory[page] = [.page(memory + UInt64(page) << 21), .present, .writable, .user, .pageSize]
    }
    let pdpt = PageTable()
    pdpt[0] = [.table(directory), .present, .writable, .user]
    let root = PageTable()
    root[0] = [.table(pdpt), .present, .writable, .user]
    // VMRUN must be intercepted, and there must be an ASID (15.5.1).
    control(0x10, 1)
    control(0x58, 1)
    control(0x90, 1)
    control(0xb0, root.address)
  }

  /// What the virtual machine finds at an address of its own.
  public func store(_ value: UInt64, at address: UInt64) { storeQuadword(memory + address, value) }

  /// Shutdown comes to the hypervisor instead of the machine.
  public func interceptShutdown() { control(0x8, 1 << 63) }

  /// 64-bit mode, supervisor, with neither IDT nor interrupts.
  public func setLongMode(cr3: UInt64, rip: UInt64, rsp: UInt64) {
    segment(0x410, selector: 0x8, attributes: 0x29b)
    for data: UInt64 in [0x400, 0x420, 0x430] { segment(data, selector: 0x10, attributes: 0xc93) }
    // EFER: SVME, LMA, LME. CR4: PAE. CR0: PG, PE.
    control(0x4d0, 1 << 12 | 1 << 10 | 1 << 8)
    control(0x548, 1 << 5)
    control(0x550, cr3)
    control(0x558, 1 << 31 | 1)
    control(0x570, 2)
    control(0x578, rip)
    control(0x5d8, rsp)
  }

  /// VMRUN, until the next #VMEXIT; gives its exit code.
  ///
  /// - Parameter saveArea: Where the processor keeps the hypervisor's own state meanwhile: 4 KiB.
  public func run(saveArea: UInt64) -> UInt64 {
    let (efer, svme, hostSave): (UInt32, UInt64, UInt32) = (0xc000_0080, 1 << 12, 0xc001_0117)
    writeMSR(efer, readMSR(efer) | svme)
    writeMSR(hostSave, saveArea)
    runVirtualMachine(block)
    return loadQuadword(block + 0x70)
  }

  private func segment(_ offset: UInt64, selector: UInt64, attributes: UInt64) {
    control(offset, selector | attributes << 16 | 0xffff_ffff << 32)
  }

  private func control(_ offset: UInt64, _ value: UInt64) { storeQuadword(block + offset, value) }
}
