extension GuestEntryState {
  /// The rules of SVM for a guest's state that this one certainly breaks: what makes VMRUN end with VMEXIT_INVALID (APM vol. 2, 15.5.1).
  /// What is not shown breaks none.
  public var svmViolations: [GuestStateViolation] {
    var found: [GuestStateViolation] = []
    func require(_ isSo: Bool?, _ words: @autoclosure () -> String) {
      if isSo == false { found.append(GuestStateViolation(words(), rule: "APM vol. 2, 15.5.1")) }
    }
    if let cr0 {
      require(!(cr0.contains(.notWriteThrough) && !cr0.contains(.cacheDisable)), "CR0.NW is 1 with CR0.CD 0")
      require(cr0.rawValue >> 32 == 0, "CR0 has bits above 31 set (\(cr0.rawValue.hexadecimal))")
    }
    require(cr3.map { $0 >> 52 == 0 }, "CR3 has bits above 51 set (\((cr3 ?? 0).hexadecimal))")
    require(dr7.map { $0 >> 32 == 0 }, "DR7 has bits above 31 set (\((dr7 ?? 0).hexadecimal))")
    if let efer, let cr0 {
      if efer.contains(.longModeEnable), cr0.contains(.paging) {
        require(cr4.map { $0.contains(.physicalAddressExtension) }, "EFER.LME and CR0.PG are 1 with CR4.PAE 0")
        require(cr0.contains(.protectionEnable), "EFER.LME and CR0.PG are 1 with CR0.PE 0")
        if cr4?.contains(.physicalAddressExtension) == true {
          require(
            segments[.cs].map { !$0.attributes.isSuperset(of: [.long, .big]) },
            "CS has both L and D set in long mode (attributes \((segments[.cs]?.attributes.rawValue ?? 0).hexadecimal))"
          )
        }
      }
      require(efer.rawValue >> 32 == 0, "EFER has reserved bits set (\(efer.rawValue.hexadecimal))")
    }
    require(asid.map { $0 != 0 }, "the ASID is 0")
    if let event, event >> 31 == 1 {
      let kind = event >> 8 & 7
      require(
        kind != 1 && kind < 5, "the event to be injected has the reserved type \(kind) (EVENTINJ \(event.hexadecimal))")
      let vector = event & 0xFF
      if kind == 3 {
        require(
          vector != 2 && vector < 32,
          "the event to be injected is an exception with the vector \(vector) (EVENTINJ \(event.hexadecimal))")
      }
    }
    return found
  }
}
