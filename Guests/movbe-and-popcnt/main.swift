// Two instructions of newer processors than the guest's.
//
// The mistake: the guest was built for a level of x86-64 that its CPU model does not have; so one mistake is many, and each
// shows only when the one before it is mended.
//
// What happens: MOVBE raises #UD, and where the processor has it, POPCNT does.
//
// Where: TCG; kvm_pvm as far as MOVBE. A processor that has them executes both.
//
// The cure: a model with both (-cpu qemu64,+movbe,+popcnt, or Haswell), or a guest that does without.

import Boot
import Processor

let inNetworkOrder: UInt32 = 0x7f00_0001
#if CURED
  let address = inNetworkOrder.byteSwapped
  let ones = address.bitsSetOneByOne
#else
  let address = loadBigEndian(inNetworkOrder)
  let ones = countOnes(UInt64(address))
#endif
if ones == 8 { printLine("OK") }
exit()

extension UInt32 {
  var bitsSetOneByOne: UInt64 {
    var ones: UInt64 = 0
    for bit in 0..<32 { ones &+= UInt64(self >> UInt32(bit) & 1) }
    return ones
  }
}
