import Glibc

/// How the recorder's memory is shared out among QEMU's threads: rings are of one thread each, and their sizes are powers
/// of two.
struct RecorderMemory {
  /// Bytes of each vCPU's ring, and of every other thread's, without the page that the kernel puts before each.
  let vcpuRing: Int
  let otherRing: Int

  private static let pageSize = Int(getpagesize())
  /// Threads that run no guest cause few events.
  private static let largestOtherRing = 1 << 20

  /// - Parameters:
  ///   - total: what all rings together may take, in bytes. A ring has one page at least, whatever the total is.
  ///   - vcpus: how many threads run the guest.
  ///   - others: how many do not.
  init(total: Int, vcpus: Int, others: Int) {
    otherRing = Self.powerOfTwo(min(Self.largestOtherRing, total / 8 / max(others, 1)))
    vcpuRing = Self.powerOfTwo((total - others * otherRing) / max(vcpus, 1))
  }

  private static func powerOfTwo(_ size: Int) -> Int {
    guard size > pageSize else { return pageSize }
    return 1 << (Int.bitWidth - 1 - size.leadingZeroBitCount)
  }
}
