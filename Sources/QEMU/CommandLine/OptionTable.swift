/// Which of QEMU's options take an argument.
///
/// Measured: each name of `qemu-system-x86_64 -help` and of QEMU's older manuals was given alone to QEMU 7.2.22, which
/// answers `requires an argument`, `invalid option`, or starts. Names that 7.2 no longer has are from the manuals of
/// the versions that had them, newer ones from `qemu-options.hx` of 8.0 to 10.2.
enum OptionTable {
  /// Nil where the option is not known.
  static func takesArgument(_ name: String) -> Bool? {
    if withArgument.contains(name) { return true }
    return withoutArgument.contains(name) ? false : nil
  }

  /// The names that are known.
  static var names: Set<String> { withArgument.union(withoutArgument) }

  private static let withArgument: Set<String> = words(
    """
    D L M accel acpitable action add-fd append audio audiodev bios blockdev boot cdrom chardev chroot compat cpu d \
    debugcon device dfilter display drive dtb dump-vmstate echr fda fdb fsdev fw_cfg g gdb global hda hdb hdc hdd \
    icount incoming initrd iscsi k kernel loadvm m machine mem-path mon monitor msg mtdblock name net netdev nic numa \
    object option-rom overcommit parallel pflash pidfile plugin prom-env qmp qmp-pretty qtest qtest-log readconfig \
    rotate rtc runas sandbox sd seed semihosting-config serial set smbios smp spice tpmdev trace usbdevice uuid vga \
    virtfs vnc watchdog-action xen-domid \
    balloon bootp bt clock hdachs kvm-shadow-memory nvram pcidevice realtime redir smb soundhw startdate tb-size tdf \
    tftp virtioconsole watchdog writeconfig \
    run-with
    """)

  private static let withoutArgument: Set<String> = words(
    """
    S async-teardown audio-help daemonize enable-kvm enable-sync-profile full-screen h help mem-prealloc \
    no-acpi no-fd-bootchk no-hpet no-reboot no-shutdown no-user-config nodefaults nographic old-param only-migratable \
    portrait preconfig s semihosting singlestep snapshot usb version win2k-hack xen-attach xen-domid-restrict \
    alt-grab ctrl-grab curses enable-fips enable-hax enable-nesting localtime no-frame no-kvm no-kvm-irqchip \
    no-kvm-pit no-kvm-pit-reinjection no-quit nodefconfig rtc-td-hack sdl show-cursor std-vga xen-create \
    jitdump one-insn-per-tb perfmap
    """)

  private static func words(_ text: String) -> Set<String> { Set(text.split(separator: " ").map(String.init)) }
}
