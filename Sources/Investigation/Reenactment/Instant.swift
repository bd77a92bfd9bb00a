import QEMU
import X86

/// A processor at one moment, with what its next step depends on.
struct Instant {
  var state: ProcessorState
  /// The guest's memory; knows of nothing where none was read.
  var memory: any PhysicalMemory
  /// Nil where EFER is not known, which tells PAE paging from long mode's.
  var paging: Paging?
  /// Who executes the instruction.
  var executor: Executor
  /// Whether the guest's processor has a feature; nil where nothing tells.
  var has: (ProcessorFeature) -> Bool?
  /// MAXPHYADDR; nil where nothing tells.
  var maximumPhysicalAddressBits: Int?
  var isAMD: Bool?
  /// Whether kvm_pvm runs the guest, which has no paging but long mode's (measured with 6.18).
  var isUnderPVM = false
  /// Whether an MSR that is not there reads as 0 and takes any value, as TCG has it, and KVM where its host wants that.
  var ignoresUnknownMSRs = false
}

/// Who executes the guest's instructions, and so checks them.
enum Executor: Hashable {
  /// QEMU's TCG: every instruction, by the guest's CPUID.
  case tcg
  /// The processor itself, for all that KVM does not intercept: by its own features, not by the guest's CPUID.
  case hardware
  /// Nothing tells.
  case unknown
}

extension Scene {
  /// What the next step of `processor` depends on.
  func instant(of processor: ObservedProcessor) -> Instant {
    let rules = rules(of: walker, for: processor.state)
    // KVM knows no such mask: it is TCG's.
    let isMasked = accelerator?.value == .tcg && processor.state.isAddressLine20Masked == true
    let memory = isMasked ? memory?.withoutLine20() : memory
    return Instant(
      state: processor.state, memory: memory ?? UnknownMemory(), paging: Paging(processor.state, rules: rules),
      executor: executor, has: { decision(on: $0).isOn },
      maximumPhysicalAddressBits: maximumPhysicalAddressBits?.value, isAMD: isAMD,
      isUnderPVM: executor == .hardware && host.vendorModule?.value == "kvm_pvm",
      ignoresUnknownMSRs: executor == .tcg || executor == .hardware && host.ignoresUnknownMSRs?.value == true)
  }

  private var executor: Executor {
    switch accelerator?.value {
    case .tcg: .tcg
    case .kvm: .hardware
    default: .unknown
    }
  }
}

/// Memory of which nothing was read.
struct UnknownMemory: PhysicalMemory {
  func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    throw UnavailableMemory(address: address, reason: .notCaptured)
  }
}

extension Instant {
  /// CPL; 0 in real mode.
  var currentPrivilegeLevel: Int {
    switch state.mode {
    case .real: 0
    case .virtual8086: 3
    default: state.currentPrivilegeLevel ?? state.ss.selector.requestedPrivilegeLevel
    }
  }

  /// Who makes the explicit accesses: the user at CPL 3.
  var privilege: PageAccess.Privilege { currentPrivilegeLevel == 3 ? .user : .supervisor }

  /// Who makes the accesses to the GDT, IDT and TSS.
  var implicitPrivilege: PageAccess.Privilege {
    currentPrivilegeLevel == 3 ? .implicitSupervisorAtCPL3 : .implicitSupervisor
  }

  /// A read of the GDT, IDT or TSS.
  var implicitRead: PageAccess { PageAccess(.read, by: implicitPrivilege) }

  /// The same moment with other registers, as a task switch leaves them.
  func with(_ state: ProcessorState) -> Instant {
    var instant = self
    instant.state = state
    instant.paging = paging.flatMap { Paging(state, rules: $0.rules) }
    return instant
  }
}

/// Where a linear address leads, or what keeps an access from it.
enum Translated {
  case physical(PhysicalAddress)
  case fails(RaisedException)
  case unknown(String)
}

extension Instant {
  /// Translates one address.
  ///
  /// - Parameter usesStackSegment: Whether an address that is not canonical raises #SS instead of #GP.
  func translate(_ address: LinearAddress, for access: PageAccess, usesStackSegment: Bool = false) -> Translated {
    guard let paging else { return .unknown("EFER is not known, which tells PAE paging from long mode's") }
    let walk = paging.walk(address, for: access, in: memory)
    switch walk.outcome {
    case .translated(let translation): return .physical(translation.physicalAddress)
    case .unpaged(let physical): return .physical(physical)
    case .pageFault: return FailedAccess(walk).map { .fails(.pageFault($0)) } ?? .unknown("the walk has no end")
    case .pdpteNotLoadable: return .unknown("the page-directory-pointer-table registers are not known")
    case .notCanonical:
      // TCG 7.2 raises #GP for the stack too (measured).
      let isStackFault = usesStackSegment && executor != .tcg
      return .fails(RaisedException(isStackFault ? .stackFault : .generalProtection, code: 0, .notCanonical(address)))
    case .undetermined(.protectionKey(let key), at: _):
      return FailedAccess(forbiddenByKey: walk).map { .fails(.pageFault($0, if: "PKRU forbids protection key \(key)")) }
        ?? .unknown("the rights of protection key \(key) are not known")
    case .undetermined(let doubt, at: let structure):
      return .unknown("the walk of \(address.rawValue.hexadecimal): \(doubt.words(at: structure))")
    }
  }

  /// `count` bytes from a linear address on, as far as they can be had.
  func bytes(at address: LinearAddress, count: Int, for access: PageAccess) -> [UInt8] {
    guard let paging else { return [] }
    return (try? paging.bytes(at: address, count: count, for: access, in: memory)) ?? []
  }
}

extension PageWalk.Doubt {
  /// Why a walk stopped without an answer.
  func words(at structure: PagingStructure) -> String {
    switch self {
    case .reservedBits(let violations):
      "nothing tells whether \(bitNames(violations.reduce(0) { $0 | $1.bits })) of the \(structure.entryName) "
        + "\(violations.entry.rawValue.hexadecimal) may be set"
    case .tableUnavailable(let memory):
      "the \(structure.longName) at physical \(memory.address.rawValue.hexadecimal) is not known"
    case .protectionKey(let key): "the rights of protection key \(key) are not known"
    }
  }
}
