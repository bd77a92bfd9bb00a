import CLinux
import QEMU
import SystemPackage
import X86

/// Reading what /dev/kvm says of itself (Documentation/virt/kvm/api.rst).
extension KVMCapabilities {
  /// Nil where KVM does not even tell the CPUID that it supports.
  init?(_ device: OwnedDescriptor) {
    let requests = KVMRequests(device: device)
    guard let cpuid = requests.supportedCPUID else { return nil }
    self.init(
      supportedCPUID: cpuid, hasTSCDeadlineTimer: requests.has(extension: 72),
      msrs: Set(requests.indices(clinux_kvm_get_msr_index_list)), featureMSRs: requests.featureMSRs,
      guestXCR0: requests.has(extension: 209) ? requests.guestXCR0 : nil)
  }
}

/// The requests made of /dev/kvm. Each hands the kernel an array of this process, whose first word says how many entries
/// there is room for; the kernel writes no more.
private struct KVMRequests {
  let device: OwnedDescriptor

  /// As many entries as the kernel has at most: KVM_MAX_CPUID_ENTRIES (arch/x86/include/asm/kvm_host.h, 5.10 to 6.18).
  private static let maximumEntries = 256
  /// Several times the number of MSRs that any KVM lists (about 300 in 6.18).
  private static let maximumMSRs = 4096

  var supportedCPUID: CPUID? {
    // struct kvm_cpuid2: u32 count, u32 padding, then entries of ten u32: function, index, flags, EAX, EBX, ECX, EDX
    // and three of padding.
    var words = [UInt32](repeating: 0, count: 2 + 10 * Self.maximumEntries)
    words[0] = UInt32(Self.maximumEntries)
    guard request(clinux_kvm_get_supported_cpuid, &words) == 0 else { return nil }
    let entries = (0..<min(Int(words[0]), Self.maximumEntries)).map { index in
      let entry = words[(2 + 10 * index)...]
      let start = entry.startIndex
      return CPUID.Entry(
        leaf: entry[start], subleaf: entry[start + 1], eax: entry[start + 3], ebx: entry[start + 4],
        ecx: entry[start + 5], edx: entry[start + 6])
    }
    return CPUID(entries: entries, isComplete: true)
  }

  /// KVM_CHECK_EXTENSION.
  func has(extension number: UInt) -> Bool {
    clinux_ioctl_number(device.descriptor.rawValue, clinux_kvm_check_extension, number) > 0
  }

  /// The MSRs of a list: struct kvm_msr_list is a u32 count and as many u32.
  func indices(_ list: UInt) -> [UInt32] {
    var words = [UInt32](repeating: 0, count: 1 + Self.maximumMSRs)
    words[0] = UInt32(Self.maximumMSRs)
    guard request(list, &words) == 0 else { return [] }
    return Array(words[1...].prefix(Int(words[0])))
  }

  var featureMSRs: [UInt32: UInt64] {
    var values: [UInt32: UInt64] = [:]
    for index in indices(clinux_kvm_get_msr_feature_index_list) {
      // struct kvm_msrs: u32 count, u32 padding, then entries of u32 index, u32 reserved, u64 value.
      var words: [UInt32] = [1, 0, index, 0, 0, 0]
      guard request(clinux_kvm_get_msrs, &words) == 1 else { continue }
      values[index] = UInt64(words[5]) << 32 | UInt64(words[4])
    }
    return values
  }

  /// KVM_GET_DEVICE_ATTR of KVM_X86_XCOMP_GUEST_SUPP.
  var guestXCR0: UInt64? {
    var value: UInt64 = 0
    // The kernel writes eight bytes to the address of `value`, which lives until the call has returned.
    let result = unsafe withUnsafeMutablePointer(to: &value) { value in
      var attribute = kvm_device_attr(flags: 0, group: 0, attr: 0, addr: UInt64(UInt(bitPattern: value)))
      return unsafe clinux_ioctl_pointer(device.descriptor.rawValue, clinux_kvm_get_device_attr, &attribute)
    }
    return result == 0 ? value : nil
  }

  private func request(_ request: UInt, _ words: inout [UInt32]) -> CInt {
    // The kernel reads and writes the array's own storage, as far as its first word says.
    unsafe words.withUnsafeMutableBytes { bytes in
      unsafe clinux_ioctl_pointer(device.descriptor.rawValue, request, bytes.baseAddress)
    }
  }
}
