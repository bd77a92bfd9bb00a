// A precondition that does not hold.
//
// The mistake: Swift's array bounds, overflow and preconditions end in UD2 when they fail; so do Rust's panic=abort,
// C's __builtin_trap and Linux's BUG().
//
// What happens: #UD at an instruction that the compiler put there. Without an IDT that becomes a triple fault.
//
// Where: everywhere.
//
// The cure: look at the source line: the program found its own mistake.

import Boot
import Processor

let sectors = PageTable()
#if CURED
  sectors[0] = [.present]
#endif
precondition(sectors[0].contains(.present), "no sectors")
printLine("OK")
exit()
