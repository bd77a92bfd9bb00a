import Processor

/// One of the processor's translation tables, of any level: 512 entries in one 4 KiB frame.
///
/// Every guest keeps the first GiB mapped to itself, as `boot.s` maps it, so a table is written at its physical address.
public struct PageTable: Sendable {
  /// The physical address of the table.
  public let address: UInt64

  /// Takes the next free frame of those that `boot.s` reserves. They are zero, like all of `.bss`: no entry is present.
  public init() {
    address = unsafe tableFramesStart() + 4096 * framesTaken
    unsafe framesTaken += 1
    // Behind the reserved frames lies the stack.
    precondition(address < tableFramesEnd())
  }

  /// A table in a frame of RAM behind the image, which QEMU leaves zero: for more tables than `boot.s` reserves.
  ///
  /// - Parameter address: A multiple of 4096, below 1 GiB.
  public init(at address: UInt64) { self.address = address }

  /// A page directory that maps the GiB at `address` to itself, in writable pages of 2 MiB.
  public static func directory(mappingGiBAt address: UInt64) -> PageTable {
    let directory = PageTable()
    for page in 0..<512 {
      directory[page] = [.page(address + UInt64(page) << 21), .present, .writable, .pageSize]
    }
    return directory
  }

  /// The entry at `index`, from 0 to 511.
  public subscript(index: Int) -> PageTableEntry {
    get { unsafe PageTableEntry(rawValue: entries[index & 511]) }
    nonmutating set { unsafe entries[index & 511] = newValue.rawValue }
  }

  /// The 512 entries: the frame at `address`, never 0, belongs to this table alone.
  private var entries: UnsafeMutablePointer<UInt64> {
    unsafe UnsafeMutablePointer(bitPattern: UInt(address)).unsafelyUnwrapped
  }
}

/// How many of the reserved frames are tables. One processor runs here, and no interrupt handler: there is no race.
private nonisolated(unsafe) var framesTaken: UInt64 = 0
