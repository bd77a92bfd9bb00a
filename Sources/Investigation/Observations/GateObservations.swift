import GuestImage
import X86

extension Scene {
  /// Gates that lead to where the lower half of a function's address alone leads: their upper part was never filled in, or shifted away.
  func gateObservations(of processor: ObservedProcessor) -> [Evidence] {
    guard processor.knowsTables, let image else { return [] }
    let instant = instant(of: processor)
    let halves = (0...UInt8.max).compactMap { HalfGate(ExceptionVector(rawValue: $0), at: instant, in: image) }
    guard let first = halves.first else { return [] }
    let others = halves.count > 1 ? ", and \(halves.count - 1) more like it," : ""
    return [
      Evidence(
        "The gate of \(first.vector.name)\(others) leads to \(first.target.hexadecimal), where none of the guest's code is. \(first.symbol.name) is at \(first.symbol.start.rawValue.hexadecimal): the gate has only the lower \(first.bits) bits of that address",
        .guestMemory)
    ]
  }
}

/// A gate with the lower bits of a function's address and zeroes above them (SDM vol. 3, figures 6-2 and 6-8: the offset is in two or three parts).
private struct HalfGate {
  let vector: ExceptionVector
  let target: UInt64
  let symbol: Symbol
  /// How many bits of the address the gate has.
  let bits: Int

  /// Nil where the gate leads into the image, by its code segment's base or without it, or to a copy of the function.
  init?(_ vector: ExceptionVector, at instant: Instant, in image: GuestImage) {
    guard let target = HandlerPath.offset(of: vector, at: instant), target != 0, image.place(of: target) == nil,
      HandlerPath.target(of: vector, at: instant).flatMap({ image.place(of: $0) }) == nil
    else { return nil }
    let parts = [16, 32].filter { target >> UInt64($0) == 0 }
    for bits in parts {
      guard let symbol = Self.function(endingWith: target, bits: bits, in: image) else { continue }
      let code = image.bytes(atVirtual: symbol.start, count: Self.comparedSize)
      let access = PageAccess(.read, by: .supervisor)
      guard instant.bytes(at: LinearAddress(target), count: code.count, for: access) != code else { return nil }
      (self.vector, self.target, self.symbol, self.bits) = (vector, target, symbol, bits)
      return
    }
    return nil
  }

  /// Few functions begin with the same 16 bytes.
  private static let comparedSize = 16

  /// A symbol that starts in the image's code at an address with these lower bits.
  private static func function(endingWith target: UInt64, bits: Int, in image: GuestImage) -> Symbol? {
    let step: UInt64 = 1 << UInt64(bits)
    for segment in image.segments where segment.isExecutable {
      let start = segment.virtualAddress.rawValue
      var address = start & ~(step - 1) | target
      if address < start { address &+= step }
      while address >= start, address - start < segment.availableSize {
        if let symbol = image.symbol(containing: LinearAddress(address)), symbol.offset == 0 { return symbol }
        address &+= step
      }
    }
    return nil
  }
}
