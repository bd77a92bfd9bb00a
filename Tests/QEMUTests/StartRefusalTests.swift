import Testing

@testable import QEMU

@Suite("Why QEMU does not start")
struct StartRefusalTests {
  /// Each as QEMU 7.2.22 prints it with these arguments.
  static let rows: [(arguments: String, output: String, option: String?, reason: String, cure: String?)] = [
    (
      "-cpu Haswel", "unable to find CPU model 'Haswel'", "-cpu Haswel", "no CPU model Haswel",
      "similar: Haswell"
    ),
    (
      "-cpu Haswell,foo=on",
      "can't apply global Haswell-x86_64-cpu.foo=on: Property 'Haswell-x86_64-cpu.foo' not found",
      "-cpu Haswell,foo=on", "no property foo", "leave it out"
    ),
    (
      "-cpu Haswell,+pdpe1g", "Property 'Haswell-x86_64-cpu.pdpe1g' not found", "-cpu Haswell,+pdpe1g",
      "no property pdpe1g", "similar: pdpe1gb"
    ),
    (
      "-accel kvm -cpu qemu64,+vmx,enforce",
      """
      warning: host doesn't support requested feature: CPUID.01H:ECX.vmx [bit 5]
      qemu-system-x86_64: Host doesn't support requested features
      """, "-cpu qemu64,+vmx,enforce", "enforce", "leave ,enforce out"
    ),
    ("-cpu host", "CPU model 'host' requires KVM or HVF", "-cpu host", "only KVM can give", "-accel kvm"),
    (
      "-cpu qemu64,phys-bits=60", "phys-bits should be between 32 and 52  (but is 60)", "-cpu qemu64,phys-bits=60",
      "between 32 and 52", "number between"
    ),
    (
      "-accel kvm -cpu host",
      """
      error: failed to set MSR 0x10a to 0x69
      qemu-system-x86_64: ../../target/i386/kvm/kvm.c:3183: kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed.
      """, "-cpu host", "0x69 that QEMU gives MSR 10AH (IA32_ARCH_CAPABILITIES)", "-cpu host,-arch-capabilities"
    ),
    (
      "-accel kvm -cpu host", "error: failed to set MSR 0x48f to 0x1", "-cpu host",
      "the value 0x1 that QEMU gives MSR 48FH",
      nil
    ),
    (
      "-accel kvm",
      """
      Could not access KVM kernel module: Permission denied
      qemu-system-x86_64: -accel kvm: failed to initialize kvm: Permission denied
      """, "-accel kvm", "may not open /dev/kvm", "usermod -aG kvm"
    ),
    (
      "-enable-kvm",
      """
      Could not access KVM kernel module: No such file or directory
      qemu-system-x86_64: failed to initialize kvm: No such file or directory
      """, "-enable-kvm", "there is no /dev/kvm", "modprobe"
    ),
    ("-accel foo", "-accel foo: invalid accelerator foo", "-accel foo", "invalid accelerator foo", "-accel tcg"),
    (
      "-hda /no/such", "-hda /no/such: Could not open '/no/such': No such file or directory", "-hda /no/such",
      "Could not open '/no/such': No such file or directory", nil
    ),
    (
      "-machine foo", "unsupported machine type\nUse -machine help to list supported machines", "-machine foo",
      "machine type", "q35"
    ),
    (
      "-gdb tcp:127.0.0.1:1234",
      "-gdb tcp:127.0.0.1:1234: Failed to find an available port: Address already in use", "-gdb tcp:127.0.0.1:1234",
      "somebody else listens", "another port"
    ),
    (
      "-drive file=disk.img,format=raw",
      "Failed to get \"write\" lock\nIs another process using the image [disk.img]?", "-drive file=disk.img,format=raw",
      "lock on the disk image disk.img", "fuser disk.img"
    ),
    (
      "-drive file=disk.img,format=qcow2", "-drive file=disk.img,format=qcow2: Image is not in qcow2 format",
      "-drive file=disk.img,format=qcow2", "not in qcow2 format", "qemu-img info"
    ),
    (
      "-m 100T", "cannot set up guest memory 'pc.ram': Cannot allocate memory", "-m 100T",
      "does not give as much memory", nil
    ),
    (
      "-device foo", "-device foo: 'foo' is not a valid device model name", "-device foo", "no device foo",
      "-device help"
    ),
    ("-serail stdio", "-serail: invalid option", "-serail", "no such option", "similar: -serial"),
    ("-cpu", "-cpu: requires an argument", "-cpu", "needs an argument", nil),
    ("-append foo", "-append only allowed with -kernel option", "-append foo", "there is none", "-kernel FILE"),
    (
      "-smp 1000", "Invalid SMP CPUs 1000. The max CPUs supported by machine 'pc-i440fx-7.2' is 255", nil,
      "Invalid SMP CPUs 1000", nil
    ),
  ]

  @Test("the option and the reason, and a cure where one is certain", arguments: rows)
  func refusal(_ arguments: String, _ output: String, _ option: String?, _ reason: String, _ cure: String?) throws {
    let line = QEMUCommandLine(
      program: "qemu-system-x86_64", arguments: arguments.split(separator: " ").map(String.init))
    let refusal = try #require(StartRefusal(standardError: "qemu-system-x86_64: \(output)\n", of: line))
    #expect(refusal.option == option)
    #expect(refusal.reason.contains(reason), "\(refusal)")
    if let cure { #expect(refusal.cure?.contains(cure) == true, "\(refusal)") } else { #expect(refusal.cure == nil) }
  }

  @Test(
    "what QEMU says in its own name",
    arguments: [
      (
        "-kernel /no/such", "qemu: could not open kernel file '/no/such': No such file or directory", "-kernel /no/such"
      ),
      ("-bios /no/such", "qemu: could not load PC BIOS '/no/such'", "-bios /no/such"),
      ("-kernel /etc/hosts", "qemu: invalid kernel header", "-kernel /etc/hosts"),
    ])
  func bareName(_ arguments: String, _ output: String, _ option: String) {
    let line = QEMUCommandLine(
      program: "qemu-system-x86_64", arguments: arguments.split(separator: " ").map(String.init))
    #expect(StartRefusal(standardError: output, of: line)?.option == option)
  }

  @Test(
    "nothing, warnings alone, and what is no QEMU",
    arguments: [("", nil), ("x: warning: y\n", nil), ("sh: gone", "sh: gone")])
  func unknown(_ output: String, _ reason: String?) {
    let line = QEMUCommandLine(program: "qemu", arguments: [])
    #expect(StartRefusal(standardError: output, of: line)?.reason == reason)
  }
}
