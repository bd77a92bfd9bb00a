import QEMU
import SystemPackage

/// What Inquest adds to a user's command line, so that the guest can be read when it is dead and sees no difference.
struct Instrumentation {
  var arguments: [String] = []

  /// - Parameters:
  ///   - control: the descriptor of a connected socket for QMP.
  ///   - ram: descriptor and size of what shall be the guest's RAM; nil leaves RAM to QEMU.
  ///   - log: the descriptor that QEMU's log goes to; nil leaves logging to the user.
  ///   - loggedAddresses: where TCG logs all registers.
  ///   - listsCode: whether TCG logs the code that it comes to.
  ///   - gdbstub: the descriptor of a connected socket for a debugger; nil for none.
  init(
    control: FileDescriptor, ram: (descriptor: FileDescriptor, size: Int)?, log: FileDescriptor?,
    loggedAddresses: [UInt64], listsCode: Bool = false, gdbstub: FileDescriptor? = nil
  ) {
    arguments += ["-chardev", "socket,id=inquest,fd=\(control.rawValue)", "-mon", "chardev=inquest,mode=control"]
    // Stopped until the tracepoints are on; then `cont`, unless the user wants it stopped too.
    arguments += ["-S"]
    // A guest that resets or powers off is frozen; what the user wanted to happen then, Inquest does afterwards.
    arguments += ["-action", "reboot=shutdown,shutdown=pause"]
    if let ram { addRAM(ram.descriptor, ram.size) }
    if let log { addLog(log, loggedAddresses, listsCode) }
    if let gdbstub {
      arguments += ["-chardev", "socket,id=inquest-gdb,fd=\(gdbstub.rawValue)", "-gdb", "chardev:inquest-gdb"]
    }
  }

  private mutating func addRAM(_ descriptor: FileDescriptor, _ size: Int) {
    let object = "memory-backend-file,id=\(SharedRAM.blockName),size=\(size)"
    arguments += ["-object", "\(object),mem-path=\(path(descriptor)),share=on"]
    arguments += ["-machine", "memory-backend=\(SharedRAM.blockName)"]
  }

  /// `cpu_reset` makes TCG say "Triple fault" (target/i386/tcg/excp_helper.c: check_exception); `-dfilter` holds for
  /// `cpu` only (measured with 7.2).
  private mutating func addLog(_ descriptor: FileDescriptor, _ addresses: [UInt64], _ listsCode: Bool) {
    let items = (addresses.isEmpty ? [] : ["cpu"]) + (listsCode ? ["in_asm"] : []) + ["cpu_reset"]
    arguments += ["-d", items.joined(separator: ",")]
    if !addresses.isEmpty {
      let ranges = addresses.map { "0x\(String($0, radix: 16))..0x\(String($0, radix: 16))" }
      arguments += ["-dfilter", ranges.joined(separator: ",")]
    }
    arguments += ["-D", path(descriptor)]
  }

  /// A name for an inherited descriptor that QEMU can open.
  private func path(_ descriptor: FileDescriptor) -> String { "/proc/self/fd/\(descriptor.rawValue)" }
}

extension QEMUCommandLine {
  /// Whether the guest's RAM is put into shared memory: where the guest can end QEMU by isa-debug-exit, after which nothing
  /// else has it, and where it costs nothing.
  ///
  /// Under KVM it costs huge pages: Linux gives none to shared memory by default
  /// (/sys/kernel/mm/transparent_hugepage/shmem_enabled). The boot of a Linux guest with nested paging took a sixth longer
  /// with it; a guest's first touch of 2 MiB is 512 exits in place of one.
  var isWorthSharingMemory: Bool { debugExitPort != nil || !accelerators.contains(.kvm) }

  /// The size of the RAM that may be replaced by shared memory; nil where that could be refused or change the guest.
  var replaceableMemorySize: UInt64? {
    guard isForX86, memoryBackendOptions.isEmpty, !has("mem-prealloc"), !has("readconfig"), !has("incoming") else {
      return nil
    }
    // Encrypted guests keep their RAM from everyone; Xen brings its own.
    for property in ["confidential-guest-support", "memory-encryption"] where machineProperty(property) != nil {
      return nil
    }
    if let type = machineType, type == "none" || type.hasPrefix("xen") || type.hasPrefix("x-remote") { return nil }
    return memorySize
  }

  /// Whether QEMU's log is free for Inquest, and the accelerator may be one that logs: KVM leaves out all but resets.
  var leavesLogFree: Bool {
    accelerators != [.kvm] && ["d", "D", "dfilter"].allSatisfy { !has($0) }
  }
}
