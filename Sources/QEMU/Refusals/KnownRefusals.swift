import X86

extension RefusalMessages {
  /// What is known of one of the lines, the last first.
  var known: StartRefusal? {
    for line in lines.reversed() {
      for read in [processor, accelerator, msr, files, addresses, memory, machine, options] {
        if let refusal = read(line) { return refusal }
      }
    }
    return nil
  }

  // MARK: The processor

  private func processor(_ line: String) -> StartRefusal? {
    let cpu = option("cpu")
    if let match = line.firstMatch(of: /unable to find CPU model '(.*)'/) {
      let near = namesNear(String(match.1), in: CPUModelTable.shipped.names)
      return StartRefusal(
        reason: "there is no CPU model \(match.1)", option: cpu,
        cure: "name one that there is\(similar(near)); inquest cpu lists them")
    }
    if let match = line.firstMatch(of: /Property '.*-x86_64-cpu\.(.*)' not found/) {
      let features = ProcessorFeature.table.compactMap(\.qemuName)
      return StartRefusal(
        reason: "QEMU's processors have no property \(match.1)", option: cpu,
        cure: "leave it out, or name one that there is\(similar(namesNear(String(match.1), in: features)))")
    }
    if line.hasSuffix("doesn't support requested features") { return enforced(cpu) }
    if line.hasSuffix("CPU model 'host' requires KVM or HVF") {
      return StartRefusal(
        reason: "the model host is the host's own processor, which only KVM can give", option: cpu,
        cure: "-accel kvm, or -cpu max for all that TCG has")
    }
    guard line.contains("phys-bits should be between") else { return nil }
    return StartRefusal(reason: split(line).reason, option: cpu, cure: "a number between these, or leave phys-bits out")
  }

  /// `enforce`: the warnings before it name what the accelerator lacks.
  private func enforced(_ cpu: String?) -> StartRefusal {
    StartRefusal(
      reason:
        "with enforce, QEMU starts only if the accelerator has every feature that is asked for, and it lacks some: the "
        + "warnings above name them", option: cpu,
      cure: "leave ,enforce out (the guest then lacks them), or turn each of them off (,-FEATURE)")
  }

  private func similar(_ names: [String]) -> String {
    names.isEmpty ? "" : " (similar: \(names.joined(separator: ", ")))"
  }

  // MARK: The accelerator

  private func accelerator(_ line: String) -> StartRefusal? {
    let accelerator = option("accel", "enable-kvm", "machine", "M")
    if line.contains("invalid accelerator") {
      return StartRefusal(
        reason: split(line).reason, option: option("accel", "machine", "M"), cure: "-accel kvm, or -accel tcg")
    }
    guard line.contains("failed to initialize kvm: ") || line.hasPrefix("Could not access KVM kernel module: ") else {
      return nil
    }
    if line.hasSuffix("Permission denied") {
      return StartRefusal(
        reason: "this user may not open /dev/kvm", option: accelerator,
        cure: "join its group (sudo usermod -aG kvm $USER, then log in again), or -accel tcg")
    }
    if line.hasSuffix("No such file or directory") {
      return StartRefusal(
        reason:
          "there is no /dev/kvm: KVM's module is not loaded, or this machine, perhaps itself a guest, has no hardware "
          + "virtualization", option: accelerator, cure: "sudo modprobe kvm_intel (or kvm_amd), or -accel tcg")
    }
    return StartRefusal(reason: "KVM cannot be used: \(split(line).reason)", option: accelerator, cure: "-accel tcg")
  }

  /// KVM's refusal of a value ends QEMU with an assertion (target/i386/kvm/kvm.c: kvm_buf_set_msrs, 7.2).
  private func msr(_ line: String) -> StartRefusal? {
    guard let match = line.firstMatch(of: /error: failed to set MSR 0x([0-9a-f]+) to 0x([0-9a-f]+)/) else { return nil }
    let msr = String(match.1)
    var refusal = StartRefusal(
      reason: "KVM refuses the value 0x\(match.2) that QEMU gives MSR \(msr.uppercased())H", option: option("cpu"))
    // The MSR is the guest's only with the feature (measured on a host whose KVM refuses it).
    guard msr == "10a" else { return refusal }
    refusal.reason += " (IA32_ARCH_CAPABILITIES)"
    refusal.cure = "-cpu \(commandLine.cpu.text),-arch-capabilities"
    return refusal
  }

  // MARK: What is not there, or somebody else's

  private func files(_ line: String) -> StartRefusal? {
    if let match = line.firstMatch(of: /could not open kernel file '(.*)': (.*)/) {
      return StartRefusal(reason: "the kernel \(match.1) cannot be opened: \(match.2)", option: option("kernel"))
    }
    if let match = line.firstMatch(of: /could not load PC BIOS '(.*)'/) {
      return StartRefusal(reason: "the firmware \(match.1) cannot be loaded", option: option("bios", "pflash", "L"))
    }
    if line.hasSuffix("invalid kernel header") {
      return StartRefusal(
        reason:
          "the file is no kernel that QEMU can load: neither ELF with a PVH note, nor multiboot, nor a Linux bzImage",
        option: option("kernel"))
    }
    if let match = line.firstMatch(of: /Is another process using the image \[(.*)\]\?/) {
      let file = String(match.1)
      return StartRefusal(
        reason: "another process holds a lock on the disk image \(file)", option: option(naming: file),
        cure: "end that process (fuser \(shellQuoted(file)) names it): two guests that write to one disk destroy it")
    }
    if let match = line.firstMatch(of: /Image is not in (.*) format/) {
      var refusal = split(line)
      refusal.cure = "the format that qemu-img info tells, not \(match.1)"
      return refusal
    }
    return nil
  }

  private func addresses(_ line: String) -> StartRefusal? {
    guard line.hasSuffix("Address already in use") || line.contains("Could not set up host forwarding rule") else {
      return nil
    }
    var refusal = split(line)
    // Of a forwarding rule QEMU does not say why.
    if line.hasSuffix("Address already in use") {
      refusal.reason = "somebody else listens at this address: \(refusal.reason)"
      refusal.cure = "another port or path, or the end of who has it (sudo ss -lptn, ss -lxp)"
    }
    return refusal
  }

  private func memory(_ line: String) -> StartRefusal? {
    guard line.contains("cannot set up guest memory") || line.contains("unable to map backing store for guest RAM")
    else {
      return nil
    }
    return StartRefusal(
      reason: "the host does not give as much memory: \(split(line).reason)", option: option("m", "object", "mem-path"))
  }

  // MARK: The machine and the options themselves

  private func machine(_ line: String) -> StartRefusal? {
    if line.hasSuffix("unsupported machine type") {
      return StartRefusal(
        reason: "this QEMU has no such machine type", option: option("machine", "M"),
        cure: "pc or q35; -machine help lists all")
    }
    guard let match = line.firstMatch(of: /'(.*)' is not a valid device model name/) else { return nil }
    var refusal = split(line)
    refusal.reason = "this QEMU has no device \(match.1)"
    refusal.cure = "one that -device help lists"
    return refusal
  }

  private func options(_ line: String) -> StartRefusal? {
    if let match = line.firstMatch(of: /: -+([^ ]*): invalid option/) {
      let near = namesNear(String(match.1), in: OptionTable.names)
      return StartRefusal(
        reason: "QEMU has no such option", option: "-\(match.1)",
        cure: near.isEmpty ? nil : "one that there is (similar: \(near.map { "-\($0)" }.joined(separator: ", ")))")
    }
    if let match = line.firstMatch(of: /: -+([^ ]*): requires an argument/) {
      return StartRefusal(reason: "the option needs an argument", option: "-\(match.1)")
    }
    guard let match = line.firstMatch(of: /: -(append|initrd) only allowed with -kernel option/) else { return nil }
    return StartRefusal(
      reason: "-\(match.1) says something to a kernel that -kernel names, and there is none",
      option: option(String(match.1)),
      cure: "-kernel FILE, or leave -\(match.1) out")
  }
}
