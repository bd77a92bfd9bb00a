import GuestImage
import KVM
import X86

/// At which level of virtual machines inside each other a vCPU ran: its registers are of that level.
enum GuestLevel {
  /// In the guest that QEMU runs.
  case first
  /// In a guest of that guest.
  case nested(NestedGuest)
  /// Either: the guest can have guests of its own, and nothing tells whether one ran.
  case unknown
}

/// A guest of the guest, as its entry was recorded.
struct NestedGuest {
  /// Nil where the recording begins after it.
  var entry: KVMNestedEntry?
  var source: Source

  /// What translates its physical addresses to those of its hypervisor; nil if nothing does, or nothing tells.
  ///
  /// Of NPT the paging mode is the hypervisor's at VMRUN, which no trace shows: 4-level, as of all hypervisors in 64-bit
  /// mode but those with 57-bit addresses, unless a walk was recorded that began at level 5.
  func paging(hasFiveLevels: Bool) -> SecondLevelPaging? {
    guard let entry, entry.usesNestedPaging == true, let root = entry.root else { return nil }
    // Entries that a rule could refuse are not at issue: the nested guest ran by them.
    switch entry.vendor {
    case .vmx:
      let rules = EPTRules(maximumPhysicalAddressBits: 52, capabilities: [.twoMiBPages, .oneGiBPages])
      return .ept(ExtendedPaging(pointer: EPTPointer(root), rules: rules))
    case .svm:
      let rules = PagingRules(hasGiBPages: true, maximumPhysicalAddressBits: 52, executeDisableEnabled: true)
      return .npt(
        NestedPaging(
          paging: Paging(
            mode: hasFiveLevels ? .fiveLevel : .fourLevel, cr3: root, rules: rules,
            protection: PageProtection(cr0: [], cr4: [], rflags: []))))
    case .pvm, nil: return nil
    }
  }
}

/// A nested guest's physical memory: its hypervisor's, through that one's nested tables.
struct NestedMemory: PhysicalMemory {
  let paging: SecondLevelPaging
  let hypervisor: any PhysicalMemory

  func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    var done = 0
    while done < buffer.count {
      let place = PhysicalAddress(address.rawValue &+ UInt64(done))
      let count = min(buffer.count - done, Int(0x1000 - place.rawValue & 0xFFF))
      var piece = buffer._mutatingExtracting(done..<done + count)
      guard let physical = hypervisorAddress(of: place) else {
        throw UnavailableMemory(address: place, reason: .notCaptured)
      }
      do throws(UnavailableMemory) {
        try hypervisor.read(physical, into: &piece)
      } catch {
        throw UnavailableMemory(address: place, reason: error.reason)
      }
      done += count
    }
  }

  /// Where its hypervisor has a physical address of the nested guest; nil where it has none, or that is not known.
  func hypervisorAddress(of address: PhysicalAddress) -> PhysicalAddress? {
    paging.walk(address, for: .read, .page, in: hypervisor).hostAddress
  }
}

extension Scene {
  /// The level at which `processor` ran, by the last events of its thread before its death; where they do not tell, by
  /// whether it can have guests at all, and whether what it executes is the guest's own image.
  func level(of death: RecordedDeath?, _ processor: ObservedProcessor?) -> GuestLevel {
    if let death, let level = recordedLevel(of: death) { return level }
    guard let state = processor?.state, state.canHaveGuests, !executesImage(state) else { return .first }
    return .unknown
  }

  /// By the newest event that tells a level; nil where there is none, or events were lost after it.
  ///
  /// Each exit of a nested guest is followed by kvm_nested_vmexit (svm.c: svm_handle_exit, vmx.c: __vmx_handle_exit, 6.1), so
  /// one that is not was the guest's own, if a recording has those events at all.
  private func recordedLevel(of death: RecordedDeath) -> GuestLevel? {
    let end = death.records.last?.time ?? .max
    let own = trace.indices.filter { trace[$0].threadID == death.threadID && trace[$0].time ?? 0 <= end }
    let lastHole = traceHoles.max() ?? 0
    // Which nested guest ran before events were lost says nothing of the one that ran after it.
    let entry = own.last { $0 >= lastHole && trace[$0].event.nestedEntry != nil }.flatMap {
      trace[$0].event.nestedEntry
    }
    let undecided: GuestLevel? = own.contains { trace[$0].event.nestedEntry != nil } ? .unknown : nil
    for index in own.reversed() {
      if index < lastHole { return undecided }
      let time = trace[index].time
      switch trace[index].event {
      case .nestedExitReflected, .nestedEntryFailed: return .first
      case .nestedEntry(let entry):
        return .nested(NestedGuest(entry: entry, source: .trace(event: "kvm_nested_vmenter", time: time)))
      case .nestedExit:
        return .nested(NestedGuest(entry: entry, source: .trace(event: "kvm_nested_vmexit", time: time)))
      case .exit:
        let hasNestedExits = own.contains { if case .nestedExit = trace[$0].event { true } else { false } }
        return hasNestedExits ? .first : undecided
      default: continue
      }
    }
    return nil
  }

  /// Whether the bytes at RIP are those that the guest's image has there; without memory, whether RIP, the GDT and the page tables in force are all the
  /// image's.
  private func executesImage(_ state: ProcessorState) -> Bool {
    if memory == nil, trace.isEmpty, let image {
      return image.place(of: state.instructionAddress.rawValue) != nil && image.place(of: state.gdtr.base) != nil
        && image.place(of: PageTableEntry(state.cr3).table) != nil
    }
    guard let image, let memory, let place = image.place(of: state.instructionAddress.rawValue),
      let paging = Paging(state, rules: rules(of: walker, for: state)),
      let found = try? paging.bytes(
        at: state.instructionAddress, count: 16, for: PageAccess(.fetch, by: .supervisor), in: memory)
    else { return false }
    let expected = image.bytes(atVirtual: place.virtual, count: 16)
    return found.count == 16 && found == expected
  }

  /// What can be told by registers of this level: of a nested guest neither the image nor the command line is known, and its
  /// physical memory is found through the nested tables.
  func seen(from level: GuestLevel) -> Scene {
    var scene = self
    switch level {
    case .first: return self
    case .unknown: scene.memory = nil
    case .nested(let guest):
      let hasFiveLevels = trace.contains { if case .pagingElement(_, 5) = $0.event { true } else { false } }
      let paging = guest.paging(hasFiveLevels: hasFiveLevels)
      if guest.entry?.usesNestedPaging != false {
        scene.memory = paging.flatMap { paging in memory.map { NestedMemory(paging: paging, hypervisor: $0) } }
      }
    }
    scene.memoryMap = nil
    scene.image = nil
    scene.commandLine = nil
    scene.guestFeatures = nil
    scene.physicalAddressBits = nil
    return scene
  }
}

extension KVMEvent {
  fileprivate var nestedEntry: KVMNestedEntry? {
    if case .nestedEntry(let entry) = self { entry } else { nil }
  }
}

extension ProcessorState {
  /// Whether VMRUN or VMX operation is enabled: EFER.SVME, CR4.VMXE. A nested guest has them set, too (APM vol. 2, 15.5.1;
  /// SDM vol. 3, A.8: CR4.VMXE is fixed to 1).
  fileprivate var canHaveGuests: Bool {
    cr4.contains(.vmxEnable) || efer?.contains(.svmEnable) == true
  }
}

extension GuestLevel {
  /// What is said of it; nil for the guest itself.
  var observation: Evidence? {
    switch self {
    case .first: nil
    case .unknown:
      Evidence(
        "The guest can have guests of its own (EFER.SVME or CR4.VMXE is set), and nothing shows whether one ran: registers "
          + "and page tables may be of that one", .reenactment)
    case .nested(let guest):
      Evidence("A guest of the guest was running: \(guest.tables)", guest.source)
    }
  }

  var number: Int? {
    switch self {
    case .first: 1
    case .nested: 2
    case .unknown: nil
    }
  }

  var isFirst: Bool { number == 1 }

  /// What would tell more of a death that is not explained.
  var missing: [Missing] {
    let how = "sudo trace-cmd record -e kvm -e kvmmmu while it dies, or sudo inquest run -- qemu-system-x86_64 …"
    return switch self {
    case .first: []
    case .unknown: [Missing(what: "whether the registers are of the guest or of a guest of its own", how: how)]
    case .nested(let guest) where guest.entry?.root == nil:
      [Missing(what: "the nested tables of the guest's guest: kvm_nested_vmenter tells them since Linux 6.1", how: how)]
    case .nested:
      [
        Missing(
          what: "the processor that the hypervisor in the guest shows to its own guest", how: "ask that hypervisor")
      ]
    }
  }
}

extension NestedGuest {
  fileprivate var tables: String {
    guard let entry, let usesNestedPaging = entry.usesNestedPaging else {
      return "registers and page tables are its own; how its physical addresses are translated was not recorded"
    }
    guard usesNestedPaging else { return "registers and page tables are its own; its hypervisor has no nested paging" }
    let root = entry.root.map { " at \($0.hexadecimal)" } ?? ""
    return "registers and page tables are its own, and its physical addresses go through its hypervisor's nested tables"
      + root
  }
}
