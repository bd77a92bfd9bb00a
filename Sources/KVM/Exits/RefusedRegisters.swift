public import X86

extension GuestEntryState {
  /// The rules of KVM_SET_SREGS that the state breaks for certain: KVM answers EINVAL (arch/x86/kvm/x86.c: kvm_is_valid_sregs, Linux 4.15
  /// to 6.19).
  public var violationsOfKVM: [GuestStateViolation] {
    guard let efer, let cr0 else { return [] }
    var found: [GuestStateViolation] = []
    func add(_ words: String) { found.append(GuestStateViolation(words, rule: "Linux x86.c: kvm_is_valid_sregs")) }
    if efer.contains(.longModeEnable), cr0.contains(.paging) {
      if cr4?.contains(.physicalAddressExtension) == false { add("EFER.LME and CR0.PG are 1, but CR4.PAE is 0") }
      if !efer.contains(.longModeActive) { add("EFER.LME and CR0.PG are 1, but EFER.LMA is 0") }
    } else {
      if efer.contains(.longModeActive) { add("EFER.LMA is 1, but EFER.LME or CR0.PG is 0") }
      if segments[.cs]?.attributes.contains(.long) == true {
        add("CS has L set (64-bit code) while long mode is not active")
      }
    }
    if cr0.contains(.paging), !cr0.contains(.protectionEnable) { add("CR0.PG is 1 with CR0.PE 0") }
    if cr0.contains(.notWriteThrough), !cr0.contains(.cacheDisable) { add("CR0.NW is 1 with CR0.CD 0") }
    return found
  }
}
