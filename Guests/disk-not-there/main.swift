// A wait for a device that is not there.
//
// The mistake: the driver waits until the disk says that it is ready (IDE status, bit 6), and there is no disk.
//
// What happens: the bus answers 0 for ever. The guest hangs with its processor busy.
//
// Where: everywhere, on a machine without a first IDE disk.
//
// The cure: a status of 0 or FFH says that nobody is there; and every wait has an end.

import Boot
import Processor

let status: UInt16 = 0x1f7
#if CURED
  if inByte(status) == 0 || inByte(status) == 0xff { printLine("no disk") }
#else
  while inByte(status) & 0x40 == 0 {}
#endif
printLine("OK")
exit()
