public import Files
public import X86

/// Physical memory in a kdump-compressed file, whose pages are found and decompressed when they are asked for.
///
/// What the dump does not hold is `notCaptured`, whether it lies between pages or beyond the last: QEMU leaves out what is
/// memory but not plain RAM or ROM, as in an ELF core, and makedumpfile what it was told to.
public struct KdumpMemory: PhysicalMemory, Sendable {
  private let pages: KdumpPages
  private let cache = PageCache()

  init(_ pages: KdumpPages) { self.pages = pages }

  public func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    let size = UInt64(KdumpHeader.pageSize)
    var done = 0
    while done < buffer.count {
      // Cannot overflow: the address before it is in a page, and no page is that high.
      let next = address.rawValue &+ UInt64(done)
      let (page, skipped) = next.quotientAndRemainder(dividingBy: size)
      let count = min(KdumpHeader.pageSize - Int(skipped), buffer.count - done)
      guard read(count, at: Int(skipped), ofPage: page, into: &buffer, at: done) else {
        throw UnavailableMemory(address: PhysicalAddress(next), reason: .notCaptured)
      }
      done += count
    }
  }

  private func read(
    _ count: Int, at skipped: Int, ofPage page: UInt64, into buffer: inout MutableSpan<UInt8>, at place: Int
  ) -> Bool {
    do throws(FileError) {
      return try cache.withContents(of: page, from: pages) { contents in
        buffer.replace(at: place, with: contents.extracting(skipped..<skipped + count))
      }
    } catch {
      return false
    }
  }

  /// Why the page at an address cannot be read although the dump should hold it: it is damaged, or the file is cut off.
  public func problem(at address: PhysicalAddress) -> FileError? {
    do throws(FileError) {
      _ = try cache.withContents(of: address.rawValue / UInt64(KdumpHeader.pageSize), from: pages) { _ in }
      return nil
    } catch {
      return error
    }
  }
}
