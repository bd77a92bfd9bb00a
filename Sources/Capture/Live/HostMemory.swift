import CLinux
import Glibc
import QEMU
import SystemPackage
import X86

/// A guest's memory where QEMU has it: mapped here where it is a file that both can map, else read from that file or out
/// of QEMU's process, else asked of QEMU.
///
/// Each way that does not work falls back to the next, so that rights that are lacking cost time and nothing else.
struct HostMemory: PageReader {
  /// A range of guest-physical memory and where QEMU's process has it.
  fileprivate struct Place {
    var range: MemoryMap.Range
    var hostAddress: UInt64
    /// The file that is shared there and where in it the range begins.
    var file: (descriptor: OwnedDescriptor, offset: Int)?
    var slice: RAMSlice?
  }

  private let process: QEMUProcess?
  /// By ascending guest-physical address.
  private let places: [Place]
  /// What the monitor gives, or a gdbstub.
  private let fallback: any PageReader

  /// - Parameters:
  ///   - process: Nil where it is not on this host, or is not known.
  ///   - monitor: What a command of QEMU's monitor prints; nil where QEMU does not answer.
  init(
    of map: MemoryMap?, in process: QEMUProcess?, monitor: (String) -> String?,
    fallback: any PageReader
  ) {
    self.process = process
    self.fallback = fallback
    var places: [Place] = []
    if let map, let process {
      let mappings = process.mappings
      var files: [FileIdentity: OwnedDescriptor] = [:]
      for range in map.ranges where range.kind != .device && !mappings.isEmpty {
        guard let text = monitor("gpa2hva " + range.first.rawValue.hexadecimal),
          let address = Self.hostAddress(in: text, of: range)
        else { continue }
        var place = Place(range: range, hostAddress: address)
        place.lookForFile(in: mappings, of: process, opened: &files)
        places.append(place)
      }
    }
    self.places = places
  }

  /// The address in `Host virtual address for 0x0 (pc.ram) is 0x7f06c3fff000` (monitor/misc.c: hmp_gpa2hva, 7.2), if the
  /// memory there is the range's.
  static func hostAddress(in text: String, of range: MemoryMap.Range) -> UInt64? {
    let line = text.prefix { !$0.isNewline }
    guard line.hasPrefix("Host virtual address for"), line.contains("(\(range.name)) is 0x"),
      let blank = line.lastIndex(of: " ")
    else { return nil }
    return UInt64(line[blank...].dropFirst(3), radix: 16)
  }

  /// The mapping of a range, where it has one.
  func slice(of range: MemoryMap.Range) -> RAMSlice? { places.first { $0.range == range }?.slice }

  func page(at address: UInt64) -> [UInt8]? {
    guard let process, let place = place(of: address) else { return fallback.page(at: address) }
    let offset = address - place.range.first.rawValue
    return place.pageOfFile(at: offset) ?? process.page(at: place.hostAddress &+ offset)
      ?? fallback.page(at: address)
  }

  func read(_ address: UInt64, into buffer: inout MutableSpan<UInt8>, at places: Range<Int>) -> Bool {
    guard let process, let place = place(of: address), !places.isEmpty,
      UInt64(places.count - 1) <= place.range.last.rawValue - address
    else { return false }
    return process.read(place.hostAddress &+ (address - place.range.first.rawValue), into: &buffer, at: places)
  }

  private func place(of address: UInt64) -> Place? {
    places.first { $0.range.first.rawValue <= address && address <= $0.range.last.rawValue }
  }
}

extension HostMemory.Place {
  /// Finds the file that is shared at the range's place in QEMU, where there is one, and maps the range if that is safe.
  fileprivate mutating func lookForFile(
    in mappings: [ProcessMapping], of process: QEMUProcess, opened files: inout [FileIdentity: OwnedDescriptor]
  ) {
    let last = range.last.rawValue - range.first.rawValue
    let (lastHostAddress, overflows) = hostAddress.addingReportingOverflow(last)
    guard !overflows, let size = Int(exactly: last).map({ $0 + 1 }),
      let mapping = mappings.first(where: { $0.start <= hostAddress && hostAddress < $0.end }),
      mapping.isShared, lastHostAddress < mapping.end, let identity = mapping.file,
      let offset = Int(exactly: mapping.offset &+ (hostAddress - mapping.start)), offset >= 0,
      let descriptor = files[identity] ?? process.openFile(of: mapping)
    else { return }
    files[identity] = descriptor
    file = (descriptor, offset)
    // A file that could become shorter is read and not mapped: its mapping would raise SIGBUS.
    guard clinux_is_sealed_against_shrinking(descriptor.descriptor.rawValue) != 0 else { return }
    guard let end = FileIdentity.size(of: descriptor.descriptor), offset <= end, size <= end - offset else { return }
    let start = offset & ~0xFFF
    guard let mapped = try? RAMMapping(descriptor.descriptor, offset: start, size: size + (offset - start)) else {
      return
    }
    slice = RAMSlice(mapping: mapped, offset: UInt64(offset - start))
  }

  /// The 4096 bytes at an offset in the range, from the file; nil where there is none or it does not have them all.
  fileprivate func pageOfFile(at offset: UInt64) -> [UInt8]? {
    guard let file, let inRange = Int(exactly: offset) else { return nil }
    let (place, overflows) = file.offset.addingReportingOverflow(inRange)
    guard !overflows else { return nil }
    var page = [UInt8](repeating: 0, count: 4096)
    // The kernel writes into the array's own storage, at most its count.
    let count = unsafe page.withUnsafeMutableBytes {
      unsafe pread(file.descriptor.descriptor.rawValue, $0.baseAddress, $0.count, place)
    }
    return count == page.count ? page : nil
  }
}

extension QEMUProcess {
  /// 4096 bytes of the process's memory; nil where they may not be read or are not all there.
  fileprivate func page(at address: UInt64) -> [UInt8]? {
    var page = [UInt8](repeating: 0, count: 4096)
    var span = page.mutableSpan
    return read(address, into: &span, at: 0..<4096) ? page : nil
  }

  /// Fills `places` of the buffer from the process's memory; false where it may not be read or is not all there.
  fileprivate func read(_ address: UInt64, into buffer: inout MutableSpan<UInt8>, at places: Range<Int>) -> Bool {
    guard places.lowerBound >= 0, places.upperBound <= buffer.count else { return false }
    // In bounds by the guard above.
    return unsafe buffer.withUnsafeMutableBytes { bytes in
      guard let first = bytes.baseAddress else { return false }
      let count = unsafe clinux_read_process(
        processID, UInt(address), first + places.lowerBound, UInt(places.count))
      return count == places.count
    }
  }
}
