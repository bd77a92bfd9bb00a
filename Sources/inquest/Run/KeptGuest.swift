import Capture
import GuestImage
import Investigation
import QEMU
import X86

/// What a user is told of a guest that is left standing still, on standard error.
struct KeptGuest {
  let doors: OpenDoors
  let wanted: GuestDoors
  /// Both nil where nothing was read of the guest.
  let verdict: Verdict?
  let scene: Scene?
  /// The guest's ELF file; nil where there is none that could be read.
  let imagePath: String?

  func tell() {
    var lines = ["the guest is left as it stands; Ctrl-C ends it and QEMU"]
    if wanted.contains(.debugger) { lines += debuggerLines }
    if let monitor = doors.monitor {
      lines.append("QEMU's monitor, where quit ends it, too:")
      lines.append("  socat -,rawer,escape=0x1d UNIX-CONNECT:\(shellQuoted(monitor))   (Ctrl-] leaves it), or")
      lines.append("  nc -U \(shellQuoted(monitor))")
    }
    standardError.write(lines.map { "inquest: \($0)\n" }.joined())
  }

  private var debuggerLines: [String] {
    guard let debugger = doors.debugger else { return ["QEMU opened no gdbstub"] }
    var lines = ["GDB, in another terminal:", "  \(command(debugger))"]
    if let place { lines.append("  \(place)") }
    if let words = otherModeWords { lines.append("  \(words)") }
    return lines
  }

  /// QEMU's stub for x86-64 is one of 64-bit registers in every mode (target/i386/gdbstub.c: x86_cpu_gdb_read_register, 7.2), and
  /// GDB refuses its packets as any other architecture.
  private func command(_ debugger: String) -> String {
    let architecture = isFor64Bits ? "i386:x86-64" : "i386"
    var words = ["gdb"]
    for command in ["set architecture \(architecture)", "target remote \(debugger)"] + threadCommand + symbolCommand {
      words += ["-ex", command]
    }
    if symbolCommand.isEmpty, let imagePath { words.append(imagePath) }
    return words.map(shellQuoted).joined(separator: " ")
  }

  private var isFor64Bits: Bool { scene?.commandLine?.programName.hasPrefix("qemu-system-i386") != true }

  /// The one that died, as far as the verdict tells.
  private var processor: ObservedProcessor? {
    let died = scene?.processors.first { $0.state.instructionAddress == verdict?.fault?.instructionPointer }
    return died ?? scene?.processors.first
  }

  /// GDB numbers QEMU's processors from 1.
  private var threadCommand: [String] {
    guard let processor, processor.index > 0 else { return [] }
    return ["thread \(processor.index + 1)"]
  }

  /// Where the guest's code runs at other addresses than it is linked for, its symbols are to be moved there.
  private var symbolCommand: [String] {
    guard let imagePath, let pointer = processor?.state.instructionAddress.rawValue,
      let place = scene?.image?.place(of: pointer), place.virtual.rawValue != pointer
    else { return [] }
    return ["symbol-file -o \((pointer &- place.virtual.rawValue).hexadecimal) \(imagePath)"]
  }

  private var place: String? {
    guard let state = processor?.state else { return nil }
    let pointer = state.instructionAddress.rawValue
    let symbol = scene?.image.flatMap { image in
      image.place(of: pointer).flatMap { image.symbol(containing: $0.virtual)?.description }
    }
    return "RIP is \(pointer.hexadecimal)\(symbol.map { ", \($0)" } ?? "")"
  }

  /// GDB decodes instructions by the architecture, not by the processor's mode.
  private var otherModeWords: String? {
    guard let mode = processor?.state.mode, mode != .long64, isFor64Bits else { return nil }
    return
      "the processor is not in 64-bit mode, and GDB shows its instructions as if it were; right are: monitor x /8i $eip"
  }
}
