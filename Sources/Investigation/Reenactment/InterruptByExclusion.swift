import GuestImage
import X86

/// The interrupt that is left as the reason of a triple fault where the instruction at RIP can raise nothing.
struct InterruptByExclusion {
  let exception: RaisedException

  /// By Zydis' names: what every processor has, and PAUSE, which is a NOP to those without it (SDM vol. 2, PAUSE).
  private static let extensions: Set<String> = ["BASE", "PAUSE"]

  /// Nil where interrupts are off, where the instruction may raise something, or where an interrupt may well have a handler.
  init?(of processor: ObservedProcessor, next: NextInstruction, in scene: Scene) {
    guard processor.state.rflags.contains(.interruptEnable), next.doubt == nil, next.exceptions.isEmpty,
      let instruction = next.instruction, Self.extensions.contains(instruction.isaExtension),
      !instruction.isPrivileged || instruction.mnemonic == "hlt",
      SystemCallUnderPVM(ReportedFailure(scene: scene, processor: processor, next: next)) == nil
    else { return nil }
    let instant = scene.instant(of: processor)
    guard let exception = Self.withoutStack(at: instant) ?? Self.withoutHandler(at: instant) else { return nil }
    self.exception = exception
  }

  /// The PIT's interrupt, if it has no handler where the PIC may put it: where kernels move it, or else on firmware's vector.
  private static func withoutHandler(at instant: Instant) -> RaisedException? {
    guard let onFirmwareVector = RaisedException.undeliverable(.supposed(vector: 8), 8, at: instant) else { return nil }
    let elsewhere = [UInt8(0x20), 0x30].compactMap {
      RaisedException.undeliverable(.hardware(vector: nil), $0, at: instant)
    }
    return elsewhere.count == 2 ? elsewhere[0] : onFirmwareVector
  }

  /// An interrupt that has a gate, and whose frame cannot be pushed, if CR2 shows that such a push was the last page fault.
  private static func withoutStack(at instant: Instant) -> RaisedException? {
    let cr2 = instant.state.cr2
    return (UInt8(32)...255).lazy.compactMap { RaisedException.undeliverable(.hardware(vector: nil), $0, at: instant) }
      .first { exception in
        guard case .undeliverable(_, let obstacle) = exception.reason, obstacle.kind == .stackNotWritable else {
          return false
        }
        return obstacle.access.map { $0.address.rawValue >> 12 == cr2 >> 12 } ?? false
      }
  }
}

extension RaisedException {
  /// What keeps an interrupt, or INT n, from its handler; nil if nothing is known to.
  static func undeliverable(_ event: InterruptEvent, _ vector: UInt8, at instant: Instant) -> Self? {
    guard
      case .blocked(let obstacle) = HandlerPath(
        of: ExceptionVector(rawValue: vector), at: instant, isSoftware: event.isSoftware)
    else { return nil }
    return Self(obstacle.exception, .undeliverable(event, obstacle))
  }
}
