/// How an APIC delivers an interrupt: the delivery mode of the ICR, of a redirection entry and of a message (SDM vol.
/// 3, 11.6.1).
public enum InterruptDelivery: UInt8, Hashable, Sendable {
  case fixed = 0
  case lowestPriority = 1
  case smi = 2
  case reserved = 3
  case nmi = 4
  case initialize = 5
  case startUp = 6
  case external = 7

  /// Reads three bits.
  init(bits: UInt64) { self = InterruptDelivery(rawValue: UInt8(bits & 7)) ?? .reserved }
}
