import QEMU
import Testing

/// A command line of words without blanks.
private func commandLine(_ text: String) -> QEMUCommandLine {
  let words = text.split(separator: " ").map(String.init)
  return QEMUCommandLine(program: words.first ?? "", arguments: Array(words.dropFirst()))
}

private func x86(_ options: String) -> QEMUCommandLine { commandLine("qemu-system-x86_64 " + options) }

@Suite struct CommandLineTests {
  @Test(arguments: [
    ("-m 1G -no-reboot disk.img -S", ["m=1G", "no-reboot", "=disk.img", "S"]),
    ("--cpu Haswell -enable-kvm", ["cpu=Haswell", "enable-kvm"]),
    ("-append -m -m 1G", ["append=-m", "m=1G"]),
    ("-made-up value -S", ["made-up=value", "S"]),
    ("-made-up -S", ["made-up", "S"]),
    ("-S -m", ["S", "m"]),
    ("-usb -drive file=x -usbdevice tablet", ["usb", "drive=file=x", "usbdevice=tablet"]),
    ("-s -d int -D log -serial stdio", ["s", "d=int", "D=log", "serial=stdio"]),
  ])
  func options(_ text: String, _ expected: [String]) {
    let options = x86(text).options.map { ($0.name ?? "") + ($0.value.map { "=" + $0 } ?? "") }
    #expect(options == expected)
  }

  @Test(arguments: [
    ("qemu-system-x86_64 -S", ["tcg"]),
    ("/usr/libexec/qemu-kvm -S", ["kvm", "tcg"]),
    ("qemu-system-x86_64 -enable-kvm", ["kvm"]),
    ("qemu-system-x86_64 -accel kvm,kernel-irqchip=split -accel tcg", ["kvm", "tcg"]),
    ("qemu-system-x86_64 -accel accel=kvm", ["kvm"]),
    ("qemu-system-x86_64 -machine q35,accel=kvm:tcg", ["kvm", "tcg"]),
    ("qemu-system-x86_64 -M pc,accel=kvm -M smm=off", ["kvm"]),
    ("qemu-system-x86_64 -enable-kvm -machine accel=tcg", ["tcg"]),
    ("qemu-system-x86_64 -machine accel=tcg -enable-kvm", ["kvm"]),
    ("qemu-kvm -no-kvm", ["tcg"]),
  ])
  func accelerators(_ text: String, _ expected: [String]) {
    #expect(commandLine(text).accelerators.map(\.rawValue) == expected)
  }

  @Test(
    arguments: [
      ("", 128 << 20), ("-m 256", 256 << 20), ("-m 1G", 1 << 30), ("-m 1g", 1 << 30), ("-m 1.5G", 3 << 29),
      ("-m 0x40", 64 << 20), ("-m size=2G,slots=4,maxmem=8G", 2 << 30), ("-m 4G,slots=2,maxmem=8G", 4 << 30),
      ("-m 1 -m 64", 64 << 20), ("-m 64 -m slots=2", 64 << 20), ("-m 0", 128 << 20), ("-m 8193B", 16384),
      ("-object memory-backend-memfd,id=a,size=32M,share=on -machine q35,memory-backend=a", 32 << 20),
      ("-object memory-backend-ram,id=a,size=4194304 -machine memory-backend=a", 4 << 20),
      ("-object memory-backend-ram,id=a,size=1G -m 64 -machine memory-backend=a", 64 << 20),
    ] as [(String, UInt64)])
  func memorySize(_ options: String, _ expected: UInt64) { #expect(x86(options).memorySize == expected) }

  @Test(arguments: [
    "-m banana", "-m -5", "-m 99999999999999999999", "-m 99999999999999G", "-m 1..5G", "-m 1Z", "-readconfig vm.cfg",
    "-machine memory-backend=a", "-m 16777216T", "-m 15.9999999999999999999999E",
  ])
  func memorySizeThatCannotBeTold(_ options: String) { #expect(x86(options).memorySize == nil) }

  @Test func memorySizeOfAnotherArchitecture() {
    #expect(commandLine("qemu-system-aarch64 -S").memorySize == nil)
    #expect(commandLine("qemu-system-aarch64 -m 64").memorySize == 64 << 20)
  }

  @Test(
    arguments: [
      ("-m 64 -mem-prealloc", []), ("-mem-path /dev/shm", ["-mem-path /dev/shm"]),
      ("-numa node,memdev=a", ["-numa node,memdev=a"]),
      ("-machine q35,memory-backend=a", ["-machine q35,memory-backend=a"]),
      ("-object memory-backend-ram,id=nvdimm0,size=1G", []),
    ] as [(String, [String])])
  func memoryBackendOptions(_ options: String, _ expected: [String]) {
    #expect(x86(options).memoryBackendOptions.map(\.text) == expected)
  }

  @Test(
    arguments: [
      ("", 1), ("-smp 4", 4), ("-smp cpus=2,maxcpus=8", 2), ("-smp sockets=2,cores=3,threads=2", 12),
      ("-smp 8,sockets=2", 8), ("-smp maxcpus=6", 6), ("-smp 0", nil), ("-smp many", nil),
      ("-smp sockets=9223372036854775807,cores=3", nil), ("-readconfig f", nil),
    ] as [(String, Int?)])
  func processorCount(_ options: String, _ expected: Int?) { #expect(x86(options).processorCount == expected) }

  @Test(arguments: [
    ("", LifecycleActions()),
    ("-no-reboot -no-shutdown", LifecycleActions(reboot: "shutdown", shutdown: "pause")),
    ("-no-reboot -action reboot=reset,panic=none", LifecycleActions(reboot: "reset", panic: "none")),
    ("-watchdog-action pause", LifecycleActions(watchdog: "pause")),
  ])
  func lifecycle(_ options: String, _ expected: LifecycleActions) { #expect(x86(options).lifecycleActions == expected) }

  @Test(
    arguments: [
      ("-device isa-debug-exit,iobase=0xf4,iosize=0x04", DebugExitPort(ioBase: 0xF4, ioSize: 4)),
      ("-device e1000 -device isa-debug-exit", DebugExitPort(ioBase: 0x501, ioSize: 2)),
      ("-device driver=isa-debug-exit,iobase=244", DebugExitPort(ioBase: 0xF4, ioSize: 2)),
      ("-device e1000", nil), ("-device isa-debug-exit,iobase=0x10000", nil),
    ] as [(String, DebugExitPort?)])
  func debugExit(_ options: String, _ expected: DebugExitPort?) { #expect(x86(options).debugExitPort == expected) }

  @Test(
    arguments: [
      ("-serial stdio", ["-serial stdio"]), ("-serial mon:stdio", ["-serial mon:stdio"]), ("-serial file:stdio", []),
      ("-chardev stdio,id=c -serial chardev:c", ["-chardev stdio,id=c"]), ("-nographic", ["-nographic"]),
      ("-nographic -serial null -monitor none", []), ("-nographic -nodefaults", []),
      ("-nographic -qmp unix:q", ["-nographic"]), ("-nographic -qmp unix:q -serial null", []),
      ("-qmp stdio -monitor none", ["-qmp stdio"]),
    ] as [(String, [String])])
  func standardIO(_ options: String, _ expected: [String]) {
    #expect(x86(options).standardIOOptions.map(\.text) == expected)
  }

  @Test func smallViews() {
    let line = x86(
      "-S -daemonize -kernel a.elf -append quiet -d int,cpu_reset -D log -s -gdb tcp::99 -display gtk,gl=on -M q35,smm=off"
    )
    #expect(line.startsPaused && line.daemonizes)
    #expect(line.kernelPath == "a.elf" && line.kernelArguments == "quiet")
    #expect(line.logItems == ["int", "cpu_reset"] && line.logPath == "log")
    #expect(line.gdbServers == ["tcp::1234", "tcp::99"])
    #expect(line.displayKind == "gtk" && x86("-nographic").displayKind == "none" && x86("").displayKind == nil)
    #expect(line.machineType == "q35" && line.machineProperty("smm") == "off" && x86("").machineType == nil)
  }

  @Test(arguments: [
    ("-cpu Haswell -S", "-cpu X -S"), ("--cpu a -S -cpu b", "--cpu a -S -cpu X"), ("-S", "-S -cpu X"),
    ("-append -cpu -S", "-append -cpu -S -cpu X"), ("-cpu", "-cpu X"),
  ])
  func replacingCPU(_ options: String, _ expected: String) { #expect(x86(options).replacingCPU("X") == x86(expected)) }

  @Test func addingKeepsWhatWasThere() {
    #expect(x86("-S").adding(["-qmp", "stdio"]) == x86("-S -qmp stdio"))
  }

  @Test(arguments: [
    (["-cpu", "Haswell,+pdpe1gb"], "q -cpu Haswell,+pdpe1gb"), (["a b"], "q 'a b'"), (["it's"], "q 'it'\\''s'"),
    ([""], "q ''"), (["$HOME"], "q '$HOME'"), (["{\"a\":1}"], "q '{\"a\":1}'"), (["~/x", "*"], "q '~/x' '*'"),
  ])
  func shellText(_ arguments: [String], _ expected: String) {
    #expect(QEMUCommandLine(program: "q", arguments: arguments).shellText == expected)
  }
}

@Suite struct CPUSelectionTests {
  @Test(
    arguments: [
      ("", "qemu64", nil, false), ("-cpu Haswell", "Haswell", nil, true),
      ("-cpu Haswell,+pdpe1gb", "Haswell", true, true), ("-cpu a -cpu Haswell,pdpe1gb", "Haswell", true, true),
      ("-cpu Haswell,pdpe1gb=off,+pdpe1gb", "Haswell", true, true),
      ("-cpu Haswell,+pdpe1gb,-pdpe1gb,pdpe1gb=on", "Haswell", false, true),
      ("-cpu Haswell,pdpe1gb=off,pdpe1gb=yes", "Haswell", true, true),
      ("-cpu Haswell,,pdpe1gb=true", "Haswell", true, true), ("-cpu Haswell,pdpe1gb=1", "Haswell", nil, true),
      ("-cpu Haswell -global Haswell-x86_64-cpu.pdpe1gb=on", "Haswell", true, true),
      ("-cpu Haswell,-pdpe1gb -global driver=Haswell-x86_64-cpu,property=pdpe1gb,value=on", "Haswell", false, true),
      ("-cpu Haswell -global Broadwell-x86_64-cpu.pdpe1gb=on", "Haswell", nil, true),
      ("-cpu Haswell -global x86_64-cpu.pdpe1gb=on", "Haswell", true, true),
      ("-cpu host -global max-x86_64-cpu.pdpe1gb=off", "host", false, true),
      ("-global kvm-pit.lost_tick_policy=discard", "qemu64", nil, false),
    ] as [(String, String, Bool?, Bool)])
  func selection(_ options: String, _ model: String, _ pdpe1gb: Bool?, _ isGiven: Bool) {
    let cpu = x86(options).cpu
    #expect(cpu.model == model && cpu.isModelGiven == isGiven)
    #expect(cpu.decision(on: .pdpe1gb)?.isOn == pdpe1gb)
  }

  @Test(arguments: [("xd=off", "nx"), ("-i64", "lm"), ("tsc_adjust=off", "tsc-adjust"), ("sse4_1=off", "sse4.1")])
  func aliases(_ change: String, _ feature: String) {
    let decision = CPUSelection("Haswell,\(change)").decision(on: CPUFeatureName(feature))
    #expect(decision?.isOn == false && decision?.change.text == change)
  }

  @Test func checking() {
    #expect(CPUSelection("max").warnsOfMissingFeatures && !CPUSelection("max").enforces)
    #expect(!CPUSelection("max,check=off").warnsOfMissingFeatures && !CPUSelection("max,-check").warnsOfMissingFeatures)
    #expect(CPUSelection("max,enforce").enforces)
  }

  @Test(arguments: [
    ("Haswell", "Haswell,+pdpe1gb"), ("Haswell,-pdpe1gb,+x2apic", "Haswell,+x2apic,+pdpe1gb"),
  ])
  func turningOn(_ text: String, _ expected: String) {
    #expect(CPUSelection(text).turningOn(.pdpe1gb).text == expected)
  }

  @Test(arguments: [("", ""), (",", ""), ("=", "="), ("+", "+"), (",,,", ""), ("a,=,b", "a"), ("a,x=,=y,+,-", "a")])
  func oddText(_ text: String, _ model: String) {
    let selection = CPUSelection(text)
    #expect(selection.model == model && selection.decision(on: .pdpe1gb) == nil)
  }
}
