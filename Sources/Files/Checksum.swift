import CZlib

/// CRC-32 as zlib, gzip and ZIP compute it: enough to tell whether a file is still the same, not to tell who made it.
public func crc32(of bytes: Span<UInt8>) -> UInt32 {
  unsafe bytes.withUnsafeBufferPointer { buffer in
    // zlib reads the buffer during the call; crc32_z takes any size.
    UInt32(truncatingIfNeeded: unsafe crc32_z(0, buffer.baseAddress, buffer.count))
  }
}
