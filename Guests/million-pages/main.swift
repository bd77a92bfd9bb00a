// No mistake: an address space of a million 4 KiB pages, of which no two neighbours are neighbours in memory. The
// benchmark of `inquest map` looks at it while the guest stands still. Needs 128 MiB.

import Boot
import Processor

/// The tables fill RAM from here on: what leads to them, 4 directories, and 2048 page tables.
let pdpt = PageTable(at: 16 << 20)
for gib in UInt64(0)..<4 {
  let directory = PageTable(at: 17 << 20 + gib << 12)
  pdpt[Int(gib)] = [.table(directory), .present, .writable]
  for index in UInt64(0)..<512 {
    let number = gib << 9 + index
    let table = PageTable(at: 18 << 20 + number << 12)
    directory[Int(index)] = [.table(table), .present, .writable]
    for entry in UInt64(0)..<512 {
      // Frames three apart, below 96 MiB.
      let page = number << 9 + entry
      table[Int(entry)] = [.page(page * 3 % 24576 << 12), .present, .writable]
    }
  }
}

let lowest = PageTable()
lowest[0] = [.table(.directory(mappingGiBAt: 0)), .present, .writable]
let pml4 = PageTable()
pml4[0] = [.table(lowest), .present, .writable]
pml4[1] = [.table(pdpt), .present, .writable]

writeCR3(pml4.address)
printLine("OK")
exit()
