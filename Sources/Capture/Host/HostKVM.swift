import CLinux
import Glibc
public import QEMU
import SystemPackage
public import X86

/// What KVM on this machine is and can offer.
///
/// Everything but the device's state is optional: what could not be read is nil and never assumed.
public struct HostKVM: Hashable, Sendable {
  public var device: Device
  /// What KVM can give to a guest, as far as QEMU goes by it.
  public var capabilities: HostFact<KVMCapabilities>?
  /// The vendor module in use: `kvm_intel`, `kvm_amd` or `kvm_pvm`.
  public var vendorModule: HostFact<String>?
  /// Whether the hardware walks the guest's tables (EPT, NPT); false is shadow paging, where KVM walks them.
  public var usesTwoDimensionalPaging: HostFact<Bool>?
  /// kvm's `ignore_msrs`: an unknown MSR reads as 0 instead of raising #GP.
  public var ignoresUnknownMSRs: HostFact<Bool>?
  /// `uname -r`.
  public var kernelRelease: HostFact<String>?

  /// Whether /dev/kvm can be used.
  public enum Device: Hashable, Sendable {
    case usable
    /// KVM is not loaded, or this machine has no virtualization.
    case absent
    /// It is there and this user may not open it.
    case forbidden
    /// It cannot be opened for another reason, with errno.
    case unusable(errno: Int32)
  }
}

/// A value read from this machine, and where.
public struct HostFact<Value: Hashable & Sendable>: Hashable, Sendable {
  public var value: Value
  /// A path, or a path and the request made of it.
  public var source: String

  public init(_ value: Value, source: String) {
    self.value = value
    self.source = source
  }
}

extension HostKVM {
  /// Asks this machine.
  public static func current() -> HostKVM {
    let module = vendorModule()
    var host = HostKVM(
      device: .absent, capabilities: nil, vendorModule: module,
      usesTwoDimensionalPaging: twoDimensionalPaging(module),
      ignoresUnknownMSRs: switchFact("/sys/module/kvm/parameters/ignore_msrs"),
      kernelRelease: textFact("/proc/sys/kernel/osrelease"))
    do throws(Errno) {
      let device = try OwnedDescriptor { try .open(FilePath("/dev/kvm"), .readWrite, options: .closeOnExec) }
      // What else may stand at that path answers no request of KVM's.
      guard clinux_ioctl_number(device.descriptor.rawValue, clinux_kvm_get_api_version, 0) >= 0 else {
        throw Errno(rawValue: errno)
      }
      host.device = .usable
      host.capabilities = KVMCapabilities(device).map { HostFact($0, source: "KVM_GET_SUPPORTED_CPUID of /dev/kvm") }
    } catch {
      host.device = Device(error)
    }
    return host
  }

  private static func vendorModule() -> HostFact<String>? {
    for name in ["kvm_intel", "kvm_amd", "kvm_pvm"] {
      let path = "/sys/module/\(name)"
      if !directoryEntries(FilePath(path)).isEmpty { return HostFact(name, source: path) }
    }
    return nil
  }

  /// kvm_pvm runs without virtualization hardware and so always shadows the guest's tables.
  private static func twoDimensionalPaging(_ module: HostFact<String>?) -> HostFact<Bool>? {
    switch module?.value {
    case "kvm_intel": switchFact("/sys/module/kvm_intel/parameters/ept")
    case "kvm_amd": switchFact("/sys/module/kvm_amd/parameters/npt")
    case "kvm_pvm": module.map { HostFact(false, source: $0.source) }
    default: nil
    }
  }

  private static func textFact(_ path: String) -> HostFact<String>? {
    guard let text = try? wholeText(FilePath(path)) else { return nil }
    return HostFact(String(text.prefix { $0 != "\n" }), source: path)
  }

  /// A module parameter of the kernel's type bool, or of type int used as one (kvm_amd's npt before Linux 5.13).
  private static func switchFact(_ path: String) -> HostFact<Bool>? {
    switch textFact(path)?.value {
    case "Y", "1": HostFact(true, source: path)
    case "N", "0": HostFact(false, source: path)
    default: nil
    }
  }

  /// KVM_GET_SUPPORTED_CPUID: the features KVM can give to a guest.
  public var supportedCPUID: HostFact<CPUID>? {
    capabilities.map { HostFact($0.value.supportedCPUID, source: $0.source) }
  }
}

extension HostKVM.Device {
  fileprivate init(_ error: Errno) {
    switch error {
    // A device node without its driver says ENODEV or ENXIO.
    case .noSuchFileOrDirectory, Errno(rawValue: ENODEV), Errno(rawValue: ENXIO): self = .absent
    case .permissionDenied, .notPermitted: self = .forbidden
    default: self = .unusable(errno: error.rawValue)
    }
  }
}
