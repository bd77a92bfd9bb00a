import QEMU
public import X86

/// Who translated the guest's addresses, as far as the evidence tells.
enum GuestWalker: Hashable {
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
  var walker: GuestWalker {
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
  func rules(of walker: GuestWalker, for state: ProcessorState?) -> PagingRules {
    let inputs = walkerInputs(for: state)
    let guest = inputs.guest
    switch walker {
    case .tcg: return Walker.tcg(Self.modelledQEMU).rules(for: inputs)
    case .kvmShadow: return Walker.kvm(linux ?? Self.oldLinux, twoDimensionalPaging: false).rules(for: inputs)
    case .hardware, .unknown:
      var rules = guest
      rules.hasGiBPages = hasGiBPages(of: walker, guest: guest.hasGiBPages)
      return rules
    }
  }

  /// What the rules of any walker of this guest depend on, as far as it is known.
  ///
  /// - Parameter state: The registers, of which EFER.NXE counts; nil where they are not known.
  public func walkerInputs(for state: ProcessorState?) -> WalkerInputs {
    let guest = PagingRules(
      hasGiBPages: decision(on: .pdpe1gb).isOn, maximumPhysicalAddressBits: maximumPhysicalAddressBits?.value,
      executeDisableEnabled: state?.efer.map { $0.contains(.executeDisableEnable) }, isAMD: isAMD)
    let host = PagingRules(hasGiBPages: host.processorHasGiBPages?.value, isAMD: host.processorIsAMD?.value)
    return WalkerInputs(guest: guest, host: host, kvmOffersGiBPages: self.host.kvmOffers?.value.has(.pdpe1gb))
  }

  /// Who walks an ordinary access of this guest; nil where nothing at hand tells.
  public var knownWalker: Walker? {
    switch walker {
    case .kvmShadow: .kvm(linux ?? Self.oldLinux, twoDimensionalPaging: false)
    case .hardware: host.processorIsAMD.map { .hardware($0.value ? .amd : .intel) }
    case .tcg: .tcg(Self.modelledQEMU)
    case .unknown: nil
    }
  }

  /// TCG's walker is the same from 7.2 to 10.2 (X86.Walker).
  private static let modelledQEMU = SoftwareVersion(7, 2)

  /// Before any of the changes to KVM's walker: by the guest's CPUID alone.
  private static let oldLinux = SoftwareVersion(5, 13)

  /// The host's kernel.
  var linux: SoftwareVersion? { host.kernelRelease.flatMap { SoftwareVersion(release: $0.value) } }

  /// Under EPT or NPT the processor goes by itself, and KVM's walker by the guest's CPUID before Linux 5.14 and by the
  /// processor since (X86.Walker). Before 5.14 the two disagree, so only a guest that has the feature is sure of it.
  private func hasGiBPages(of walker: GuestWalker, guest: Bool?) -> Bool? {
    if walker == .hardware, let linux, linux >= SoftwareVersion(5, 14) { return host.processorHasGiBPages?.value }
    return guest == true ? true : nil
  }

  /// MAXPHYADDR: what QEMU says of the running guest, else what the command line asks for; where nothing tells the
  /// accelerator, KVM's: of a named model both make the same.
  var maximumPhysicalAddressBits: Sourced<Int>? {
    if let physicalAddressBits { return physicalAddressBits }
    return requestedProcessor?.physicalAddressBits.map { Sourced($0.value, .commandLine) }
  }

  /// Under KVM the guest sees the host's vendor, else the model's (target/i386/cpu.c: x86_cpu_load_model, 7.2).
  var isAMD: Bool? {
    guard accelerator?.value == .tcg else { return host.processorIsAMD?.value }
    return commandLine.flatMap { CPUModelTable.shipped.model(named: $0.cpu.model) }.map { $0.vendor == "AuthenticAMD" }
  }
}

extension SoftwareVersion {
  /// The first two numbers of a kernel's release such as `6.1.0-18-amd64`; nil if it does not begin with two.
  init?(release: String) {
    let parts = release.split(separator: ".", maxSplits: 2)
    guard parts.count >= 2, let major = Int(parts[0]), let minor = Int(parts[1].prefix { $0.isNumber }) else {
      return nil
    }
    self.init(major, minor)
  }
}
