import ArgumentParser
import Investigation
import QEMU
import X86

/// Where an address space is looked at, and what is known of its processor: the same for every command that does.
struct AddressSpaceOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Which vCPU's address space.", valueName: "n"))
  var vcpu = 0

  @Option(help: ArgumentHelp("CR3 instead of the vCPU's own.", valueName: "hex"))
  var cr3: HexadecimalArgument?

  @Option(help: ArgumentHelp("CR0 instead of the vCPU's own.", valueName: "hex"))
  var cr0: HexadecimalArgument?

  @Option(help: ArgumentHelp("CR4 instead of the vCPU's own.", valueName: "hex"))
  var cr4: HexadecimalArgument?

  @Option(help: ArgumentHelp("EFER instead of the vCPU's own; an ELF core has none.", valueName: "hex"))
  var efer: HexadecimalArgument?

  @Option(help: ArgumentHelp("PKRU, which no source shows.", valueName: "hex"))
  var pkru: HexadecimalArgument?

  /// The address space that is meant.
  ///
  /// - Parameter walker: By whose rules; nil for those of the guest's own walker, as far as it is known.
  func addressSpace(of scene: Scene, by walker: Walker?) throws -> AddressSpace {
    guard let memory = scene.memory else {
      throw Failure(
        "no memory: give a dump (dump-guest-memory), an image of physical memory (--memory FILE@BASE), --qmp or --gdb")
    }
    let processor = scene.processors.first { $0.index == vcpu }
    if processor == nil, cr3 == nil {
      throw Failure(
        scene.processors.isEmpty
          ? "no registers: give a file that has them, or --cr3"
          : "there is no vCPU \(vcpu); those at hand are \(scene.processors.map { "\($0.index)" }.joined(separator: ", "))"
      )
    }
    let registers = registers(processor?.state)
    guard let mode = registers.mode else {
      throw Failure(
        "EFER is not known, which tells PAE paging from long mode's: give --efer (0 for PAE, 500 for long mode)")
    }
    let inputs = scene.walkerInputs(for: processor?.state)
    var rules = (walker ?? scene.knownWalker)?.rules(for: inputs) ?? inputs.guest
    rules.executeDisableEnabled = registers.efer.map { $0.contains(.executeDisableEnable) }
    let paging = Paging(
      mode: mode, cr3: registers.cr3, pageSizeExtensions: registers.cr4.contains(.pageSizeExtensions), rules: rules,
      protection: PageProtection(
        cr0: registers.cr0, cr4: registers.cr4, rflags: processor?.state.rflags ?? [],
        pkru: pkru.map { UInt32(truncatingIfNeeded: $0.value) }))
    return AddressSpace(
      paging: paging, memory: memory, layout: scene.memoryMap, walker: walker ?? scene.knownWalker, inputs: inputs,
      registers: source(processor))
  }

  private struct Registers {
    var cr0: CR0
    var cr3: UInt64
    var cr4: CR4
    var efer: EFER?
    var mode: PagingMode?
  }

  /// Those of the vCPU, changed as asked. Without a vCPU, those of a kernel in long mode, where nothing else is given.
  private func registers(_ state: ProcessorState?) -> Registers {
    let isGuessed = state == nil
    let cr0 = cr0.map { CR0(rawValue: $0.value) } ?? state?.cr0 ?? [.protectionEnable, .writeProtect, .paging]
    let cr4 = cr4.map { CR4(rawValue: $0.value) } ?? state?.cr4 ?? .physicalAddressExtension
    let efer = efer.map { EFER(rawValue: $0.value) } ?? state?.efer
    var mode = PagingMode(cr0: cr0, cr4: cr4, efer: efer)
    if mode == nil, isGuessed || state?.isLongModeActive == true {
      mode = PagingMode(cr0: cr0, cr4: cr4, efer: .longModeActive)
    }
    return Registers(cr0: cr0, cr3: cr3?.value ?? state?.cr3 ?? 0, cr4: cr4, efer: efer, mode: mode)
  }

  private func source(_ processor: ObservedProcessor?) -> String {
    let given = [("CR0", cr0), ("CR3", cr3), ("CR4", cr4), ("EFER", efer)].filter { $0.1 != nil }.map(\.0)
    let words = given.isEmpty ? nil : "\(given.joined(separator: ", ")) as given"
    let own = processor.map { "\($0.source.description), vCPU \($0.index)" } ?? "long mode assumed"
    return [words, own].compactMap(\.self).joined(separator: "; ")
  }
}

/// An address space, with what is needed to ask more of it.
struct AddressSpace {
  var paging: Paging
  var memory: any PhysicalMemory
  var layout: MemoryMap?
  /// Whose rules `paging` has; nil for what is known of the guest's.
  var walker: Walker?
  var inputs: WalkerInputs
  /// Where the registers came from.
  var registers: String

  /// The opinions of `walkers` on an access.
  func opinions(
    of walkers: [Walker], on address: LinearAddress, for access: PageAccess
  ) -> WalkerOpinions<PageWalk> {
    var inputs = inputs
    inputs.guest.executeDisableEnabled = paging.rules.executeDisableEnabled
    return paging.opinions(of: walkers, on: address, for: access, in: memory, inputs)
  }
}
