/// An entry of a translation table: flags, and the address of the next table or of a page.
public struct PageTableEntry: OptionSet, Sendable {
  public let rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static var present: Self { Self(rawValue: 1 << 0) }
  public static var writable: Self { Self(rawValue: 1 << 1) }
  /// U/S: user mode may use it too.
  public static var user: Self { Self(rawValue: 1 << 2) }
  /// PS: the walk ends here, at a page of 2 MiB (in a page directory) or of 1 GiB (in a PDPT).
  public static var pageSize: Self { Self(rawValue: 1 << 7) }
  /// XD, which AMD calls NX. Reserved while EFER.NXE is clear.
  public static var noExecute: Self { Self(rawValue: 1 << 63) }

  /// A protection key from 0 to 15.
  public static func protectionKey(_ key: UInt64) -> Self { Self(rawValue: key << 59) }

  /// The physical address of a page.
  public static func page(_ address: UInt64) -> Self { Self(rawValue: address) }

  /// The physical address of a table of the next level.
  public static func table(_ table: PageTable) -> Self { Self(rawValue: table.address) }
}
