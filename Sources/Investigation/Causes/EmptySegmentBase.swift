import GuestImage
import X86

/// FS or GS with the base 0 under an access that names it: what belongs to a processor or a thread has no place yet.
struct EmptySegmentBase {
  private let register: SegmentRegister
  private let offset: UInt64
  private let isLong: Bool

  /// Nil unless the operand at the address goes through such a segment, and its registers do not make up for the base.
  init?(_ fault: FirstFault, _ address: LinearAddress) {
    guard let state = fault.state, let memory = fault.operand(at: address)?.memory,
      let register = [SegmentRegister.fs, .gs].first(where: { $0 == memory.segment }), state[register].base == 0
    else { return nil }
    self.register = register
    offset = address.rawValue
    isLong = state.mode == .long64
  }

  private var name: String { register == .fs ? "FS" : "GS" }

  /// Where compilers take the value from that they compare with the one on the stack (GCC: TARGET_THREAD_SSP_OFFSET, config/i386; clang alike).
  private var isCanary: Bool { isLong ? offset == 0x28 : offset == 0x14 }

  /// A clause.
  var words: String {
    "\(name)'s base is 0, and the operand counts from it: "
      + (isCanary
        ? "offset \(offset.hexadecimal) is where compilers find the value of the stack protector"
        : "it was not set on this processor, or was exchanged (SWAPGS) once too often or not at all")
  }

  var remedies: [Remedy] {
    let set = Remedy.guest(
      isLong
        ? "set \(name)'s base (MSR \(register == .fs ? "C0000100H" : "C0000101H")) on each processor before the first such access, after \(name) was loaded: a selector "
          + "brings a base of its own"
        : "load \(name) with a descriptor whose base is where the data lie, on each processor", "The base is 0 now.")
    let protector = Remedy.guest(
      "or build without the stack protector (-fno-stack-protector)",
      "The compiler puts the access at the start of functions.")
    let exchange = Remedy.guest(
      "execute SWAPGS exactly once at each entry from user mode and before each return there, and never at an entry from the kernel",
      "The selector of CS in the frame tells which it is.")
    if isCanary { return [set, protector] }
    return isLong && register == .gs ? [set, exchange] : [set]
  }
}
