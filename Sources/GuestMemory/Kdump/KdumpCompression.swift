/// How the pages of a kdump are compressed. Each page says it for itself; one that compression does not make smaller is
/// left as it is.
public enum KdumpCompression: String, Hashable, Sendable {
  case zlib
  case lzo
  case snappy
  case zstd

  /// DUMP_DH_COMPRESSED_ZLIB, _LZO, _SNAPPY and _ZSTD (makedumpfile's diskdump_mod.h, 1.7.2).
  private static let flags: [(UInt32, KdumpCompression)] = [
    (0x01, .zlib), (0x02, .lzo), (0x04, .snappy), (0x20, .zstd),
  ]

  /// What the flags of a page say; nil if they say none that is known.
  init?(flags: UInt32) {
    guard let (_, compression) = Self.flags.first(where: { $0.0 == flags }) else { return nil }
    self = compression
  }

  /// What the status of a dump says, which has other flags beside it; nil if its pages are not compressed.
  init?(status: UInt32) {
    guard let (flag, _) = Self.flags.first(where: { status & $0.0 != 0 }) else { return nil }
    self.init(flags: flag)
  }
}
