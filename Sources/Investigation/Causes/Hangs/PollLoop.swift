import GuestImage
import KVM
import QEMU
import X86

/// `hang.poll`: a loop that asks a device until it gives another answer, which it never does.
struct PollLoop: CauseOfHang, SingleCause {
  static let id = "hang.poll"
  static let title = "A device is asked again and again"
  /// The device may yet answer.
  let confidence = Confidence.likely
  private let loop: ShortLoop
  private let device: String
  private let looks: Int
  let evidence: [Evidence]

  /// How often a guest must have been seen in the loop.
  private static let least = 8

  /// The processor was in the loop at each look, and what it asks is neither a clock nor where input comes from: a guest that waits for
  /// a key or for a time does not hang.
  init?(_ hang: Hang) {
    let running = hang.started
    guard running.count == 1, let (processor, _) = running.first, processor.state.isHalted != true,
      let loop = ShortLoop(at: hang.scene.instant(of: processor)), let access = loop.accesses.first,
      !loop.accesses.contains(where: \.mayAnswerLater)
    else { return nil }
    let looks = hang.scene.watched.compactMap { $0.processors.first { $0.index == processor.index } }
    guard looks.count >= Self.least, looks.allSatisfy({ loop.contains($0.state.instructionAddress) }) else {
      return nil
    }
    self.loop = loop
    self.looks = looks.count
    device = access.words(hang.scene.memoryMap)
    evidence =
      [
        Evidence(
          "At \(looks.count) looks of \(looks.count) the processor was in that loop", .registers("QMP: info registers"))
      ]
      + Self.answers(access, hang.scene.traceSinceLoss)
  }

  /// What the device answered last, where the trace shows that it is always the same.
  private static func answers(_ access: ShortLoop.Access, _ trace: ArraySlice<KVMRecord>) -> [Evidence] {
    guard case .port(let port) = access else { return [] }
    var answers: [(value: UInt32, time: UInt64?)] = []
    for record in trace {
      if case .portIO(false, port, _, _, let value?) = record.event { answers.append((value, record.time)) }
    }
    guard let last = answers.last else { return [] }
    let count = answers.reversed().prefix { $0.value == last.value }.count
    return [
      Evidence(
        "Port \(port.hexadecimal) answers \(last.value.hexadecimal), \(count) times in a row",
        .trace(event: "kvm_pio", time: last.time))
    ]
  }

  var summary: String {
    "The processor asks \(device) again and again: the loop from `\(loop.first.text)` at \(loop.first.address.hexadecimal) to "
      + "`\(loop.last.text)` at \(loop.last.address.hexadecimal) does nothing else and has no end of its own, and at each of \(looks) looks the "
      + "processor was there."
  }

  var remedies: [Remedy] { Self.remedies }

  static let remedies: [Remedy] = [
    .guest(
      "give the wait an end: count, or look at a clock, and report that the device does not answer",
      "A device that is not there, or not set up, never answers as the loop expects; ask first whether it is there.")
  ]

  static let manual = """
    A loop reads a port or a device's register until it changes, and it does not change. `inquest run --stall SECONDS` looks at the guest
    several times before it says so.

    ## How to recognise it

    The processor is always in the same few instructions, one of which is IN or a read of a device's register; the trace has kvm_pio or
    kvm_mmio with the same answer, over and over.

    A wait for input (keyboard, serial port) or for a clock is not called a hang.

    ## Why

    The device is not there (a bus without a disk answers 0 or FFH), is not set up, or reports an error in another bit; the address is that of
    another machine.

    ## The cure

    Ask whether the device is there, look at its error bits, and give every wait an end.
    """
}

extension ShortLoop.Access {
  /// Ports of clocks and of input: PIT and speaker, keyboard, RTC, serial ports, the VGA's retrace, ACPI's timer where firmware puts it.
  private static let patient: [ClosedRange<UInt16>] = [
    0x40...0x43, 0x60...0x64, 0x70...0x71, 0x2E8...0x2EF, 0x2F8...0x2FF, 0x3BA...0x3BA, 0x3DA...0x3DA, 0x3E8...0x3EF,
    0x3F8...0x3FF, 0x408...0x40B, 0x608...0x60B, 0x808...0x80B, 0xB008...0xB00B,
  ]

  /// Whether it is a clock, or where input comes from.
  var mayAnswerLater: Bool {
    switch self {
    case .port(let port): Self.patient.contains { $0.contains(port) }
    // HPET and local APIC.
    case .register(let address):
      (0xFED0_0000...0xFED0_0FFF).contains(address.rawValue) || address.rawValue >> 12 == 0xFEE00
    case .lock: true
    }
  }

  fileprivate func words(_ map: MemoryMap?) -> String {
    switch self {
    case .port(let port): return "port \(port.hexadecimal)"
    case .register(let address):
      let range = map?.ranges.first { $0.first <= address && address <= $0.last }
      return "the device at physical \(address.rawValue.hexadecimal)\(range.map { " (\($0.name))" } ?? "")"
    case .lock(let address, _): return "the lock at \(address.rawValue.hexadecimal)"
    }
  }
}
