import KVM
import QEMU
import X86

extension Scene {
  /// What the reports of KVM and QEMU say by themselves, the most telling first.
  ///
  /// - Parameter processor: The vCPU that died.
  func reportObservations(of processor: ObservedProcessor?) -> [Evidence] {
    let errors = internalErrors.flatMap {
      InternalErrorObservations($0.value, $0.source, in: self, processor: processor).evidence
    }
    let entry = failedEntry.map {
      EntryFailureObservations(hardwareError: $0.value, $0.source, in: self, processor: processor).evidence
    }
    return errors + (entry ?? []) + earlierErrors(than: processor) + traceObservations + loggedFaultObservations
      + messageObservations
      + statementObservations + bhyveObservations + linuxOopsObservations + hostDumpObservations
      + partialDumpObservations
      + unusualMemoryObservations + interruptObservations + multibootObservations + otherArchitecture
  }

  /// QEMU of another processor: its registers are not read, and nothing here was made for it.
  private var otherArchitecture: [Evidence] {
    guard let program = commandLine?.program.split(separator: "/").last, program.hasPrefix("qemu-system-"),
      !["qemu-system-x86_64", "qemu-system-i386"].contains(where: program.hasPrefix)
    else { return [] }
    return [
      Evidence(
        "\(program) emulates another processor than an x86: only QEMU's own messages are read here, no registers",
        .commandLine)
    ]
  }

  /// The last dump, where it is too small for a processor's state.
  private var partialDumpObservations: [Evidence] {
    guard processors.isEmpty, let entry = firstPrintedDump ?? log.last(where: \.value.isDump),
      case .registerDump(let dump) = entry.value, dump.state == nil, dump.stateWithoutTables == nil
    else { return [] }
    return PartialDumpObservations(dump, entry.source).evidence
  }

  /// Of the dumps that other programs print the first that an exception is named for, else the first: what follows is its consequence.
  private var firstPrintedDump: Sourced<QEMUMessage>? {
    let printed = log.filter { if case .registerDump(let dump) = $0.value { dump.printer != .qemu } else { false } }
    let named = printed.first { if case .registerDump(let dump) = $0.value { dump.exception != nil } else { false } }
    let placed = printed.first { if case .registerDump(let dump) = $0.value { dump[.rip] != nil } else { false } }
    return named ?? placed ?? printed.first
  }

  /// The last internal error of each kind, of those that have data if any has.
  private var internalErrors: [Sourced<KVMInternalError>] {
    var errors: [Sourced<KVMInternalError>] = []
    for entry in log {
      guard case .kvmInternalError(let error) = entry.value else { continue }
      guard !error.extraData.isEmpty || !errors.contains(where: { $0.value.suberror == error.suberror }) else {
        continue
      }
      errors.removeAll { $0.value.suberror == error.suberror }
      errors.append(Sourced(error, entry.source))
    }
    return errors
  }

  /// What the registers of one processor, and the bytes at its RIP, prove.
  func observations(of processor: ObservedProcessor) -> [Evidence] {
    // QEMU reads the bytes by the registers it has: where those are of two moments, the bytes are not those at RIP.
    let isWhole = !ResetObservations.isHalfRestored(processor.state)
    let instruction =
      isWhole
      ? code(of: processor).map { InstructionObservations($0.value, at: processor.state, $0.source).evidence } ?? []
      : []
    return instruction + ProcessorObservations(of: processor).evidence + taskObservations(of: processor)
      + gateObservations(of: processor)
      + memorySizeObservations(processor).map { Evidence($0, processor.source) }
  }

  /// A stack or an instruction where the command line's RAM ends. Up to 2 GiB a PC has all of it from 0 on (QEMU 7.2 hw/i386/pc_piix.c,
  /// pc_q35.c).
  private func memorySizeObservations(_ processor: ObservedProcessor) -> [String] {
    guard let memorySize = commandLine?.memorySize, memorySize <= 2 << 30, !processor.state.cr0.contains(.paging) else {
      return []
    }
    let state = processor.state
    let outside = [("The stack", state.stackAddress), ("CS:IP", state.instructionAddress.rawValue)].filter {
      $0.1 >= memorySize && PCMemory.hole(of: $0.1) == nil
    }
    return outside.map {
      "\($0.0), at \($0.1.hexadecimal), is beyond the guest's RAM, which ends at \(memorySize.hexadecimal) (-m): no value that its code can have meant"
    }
  }

  /// Memory that the command line gives the guest and that KVM does not have as RAM.
  var unusualMemoryObservations: [Evidence] {
    guard let commandLine, commandLine.arguments.contains(where: { $0.hasPrefix("cxl-type3") }),
      accelerator?.value != .tcg
    else { return [] }
    return [
      Evidence(
        "The command line has CXL memory (cxl-type3\(commandLine.arguments.contains { $0.contains("volatile-memdev") } ? ", volatile-memdev" : "")): QEMU answers for a CXL window as for a device, so for KVM it is MMIO. Code, stacks and "
          + "buffers that the guest puts there have to be emulated, instruction by instruction, and many cannot be",
        .commandLine)
    ]
  }

  /// The `Code=` line of the dump that a processor's registers are from.
  func code(of processor: ObservedProcessor) -> Sourced<CodeBytes>? {
    for entry in log.reversed() {
      guard case .registerDump(let dump) = entry.value, let code = dump.code,
        (dump.state ?? dump.stateWithoutTables)?.rip == processor.state.rip
      else { continue }
      // The line of the bytes themselves is nearer than that of the dump.
      guard case .log(let name, _) = entry.source else { return Sourced(code, entry.source) }
      return Sourced(code, .log(name: name, line: code.line))
    }
    return orphanedCode(of: processor) ?? listedCode(of: processor)
  }

  /// What a listing has around RIP.
  private func listedCode(of processor: ObservedProcessor) -> Sourced<CodeBytes>? {
    let pointer = processor.state.instructionAddress.rawValue
    guard let (before, listed) = listedCode(pointer),
      let entry = log.first(where: { if case .codeListing = $0.value { true } else { false } })
    else { return nil }
    let near = before.suffix(20)
    let from = codeAsListed(at: pointer) ?? listed
    return Sourced(CodeBytes(bytes: near.map { $0 } + from, marked: near.count, line: 0), entry.source)
  }

  /// The one `Code=` line that lost its dump, as where a dump that repeats was pasted from its middle; nil where it may be of another.
  private func orphanedCode(of processor: ObservedProcessor) -> Sourced<CodeBytes>? {
    var codes: [Sourced<CodeBytes>] = []
    var states: Set<UInt64> = []
    for entry in log {
      guard case .registerDump(let dump) = entry.value else { continue }
      if let rip = dump[.rip] { states.insert(rip) }
      guard let code = dump.code else { continue }
      guard dump.registers.isEmpty else { return nil }
      codes.append(Sourced(code, entry.source))
    }
    return codes.count == 1 && states == [processor.state.rip] ? codes.first : nil
  }
}
