import QEMU
import X86

/// Who translated the guest's addresses, and so by which rules.
enum Walker: Hashable {
  /// KVM's own walker, for every access: shadow paging.
  case kvmShadow
  /// The processor under EPT or NPT; KVM's walker sees only the accesses of instructions that it emulates.
  case hardware
  /// QEMU's TCG.
  case tcg
  /// Nothing at hand tells.
  case unknown
}

extension Scene {
  /// The walker of an ordinary access of this guest.
  var walker: Walker {
    switch accelerator?.value {
    case .kvm:
      switch host.usesTwoDimensionalPaging?.value {
      case true?: .hardware
      case false?: .kvmShadow
      case nil: .unknown
      }
    case .tcg: .tcg
    default: .unknown
    }
  }

  /// What is known of the rules that `walker` goes by.
  func rules(of walker: Walker, for state: ProcessorState?) -> PagingRules {
    PagingRules(
      hasGiBPages: hasGiBPages(for: walker), maximumPhysicalAddressBits: maximumPhysicalAddressBits?.value,
      executeDisableEnabled: state?.efer.map { $0.contains(.executeDisableEnable) }, isAMD: isAMD)
  }

  /// Whether `walker` lets a PDPTE map a 1 GiB page.
  ///
  /// - TCG does not ask CPUID (target/i386/tcg/sysemu/excp_helper.c: mmu_translate, 7.2; measured).
  /// - Shadow paging goes by the guest's CPUID (arch/x86/kvm/mmu/mmu.c: reset_guest_rsvds_bits_mask, 6.1), as far as
  ///   KVM offers the feature itself (measured with kvm_pvm on 6.18, which refuses the pages whatever the guest's CPUID).
  /// - Hardware under EPT or NPT goes by the host's processor; KVM's walker follows it since Linux 5.14 and went by
  ///   the guest's CPUID before (Linux commit 27de925044e1 "KVM: x86/mmu: Let guest use GBPAGES if supported in hardware
  ///   and TDP is on"). Before 5.14 the two disagree, so only a guest that has the feature is sure of it.
  private func hasGiBPages(for walker: Walker) -> Bool? {
    let guest = decision(on: .pdpe1gb).isOn
    switch walker {
    case .tcg: return true
    case .kvmShadow: return host.kvmOffers[.pdpe1gb]?.value == false ? false : guest
    case .hardware:
      if followsHostGiBPages == true { return host.processorHasGiBPages?.value }
      return guest == true ? true : nil
    case .unknown: return guest == true ? true : nil
    }
  }

  /// Whether the host's KVM is new enough to go by the host's 1 GiB pages where EPT or NPT is on.
  private var followsHostGiBPages: Bool? {
    host.kernelRelease.flatMap { KernelVersion($0.value) }.map { $0 >= KernelVersion(5, 14) }
  }

  /// MAXPHYADDR: what QEMU says of the running guest, else what the command line asks for.
  var maximumPhysicalAddressBits: Sourced<Int>? {
    if let physicalAddressBits { return physicalAddressBits }
    guard let cpu = commandLine?.cpu, let accelerator = accelerator?.value else { return nil }
    return cpu.physicalAddressBits(accelerator: accelerator).value.map { Sourced($0, .commandLine) }
  }

  /// Under KVM the guest sees the host's vendor, else the model's (target/i386/cpu.c: x86_cpu_load_model, 7.2).
  private var isAMD: Bool? {
    guard accelerator?.value == .tcg else { return host.processorIsAMD?.value }
    return commandLine.flatMap { CPUModel.named($0.cpu.model) }.map { $0.vendor == "AuthenticAMD" }
  }
}

/// The first two numbers of a kernel's release.
struct KernelVersion: Hashable, Comparable {
  var major: Int
  var minor: Int

  init(_ major: Int, _ minor: Int) {
    self.major = major
    self.minor = minor
  }

  /// From a release such as `6.1.0-18-amd64`; nil if it does not begin with two numbers.
  init?(_ release: String) {
    let parts = release.split(separator: ".", maxSplits: 2)
    guard parts.count >= 2, let major = Int(parts[0]), let minor = Int(parts[1].prefix { $0.isNumber }) else {
      return nil
    }
    self.init(major, minor)
  }

  static func < (a: Self, b: Self) -> Bool { (a.major, a.minor) < (b.major, b.minor) }
}
