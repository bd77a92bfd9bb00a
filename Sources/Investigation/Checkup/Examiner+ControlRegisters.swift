import X86

extension Examiner {
  /// Settings that change what an exception or a store does, and that are seldom meant.
  mutating func examineControlRegisters() {
    if state.cr0.contains(.paging), !state.cr0.contains(.writeProtect) {
      add(
        "paging.write-protect-off", .note,
        "CR0.WP is clear: the supervisor writes to read-only pages without a fault",
        remedy: "set CR0.WP (bit 16) if the kernel relies on read-only pages")
    }
    if state.cr0.contains(.cacheDisable) {
      add(
        "cpu.caches-off", .note, "CR0.CD is set: caches are off on a processor; KVM and TCG do not mind",
        remedy: "clear CR0.CD and CR0.NW (bits 30 and 29)")
    }
    if state.cr0.contains(.paging), !state.cr4.contains(.osFXSR) {
      add(
        "cpu.feature-not-enabled", .note,
        "CR4.OSFXSR is clear: the first SSE instruction raises #UD",
        remedy: "set CR4.OSFXSR and CR4.OSXMMEXCPT (bits 9 and 10), or compile without SSE")
    }
  }
}
