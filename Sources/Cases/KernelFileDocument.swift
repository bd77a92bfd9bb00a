import QEMU

/// A ``LinuxKernelFile`` in JSON.
struct KernelFileDocument: Codable {
  var size: UInt64
  /// The setup header's version, and its sizes in bytes.
  var version: UInt16
  var setupSize: UInt64
  var protectedModeSize: UInt64
  var isOf64Bits: Bool
  /// Where the kernel starts, and in how many bytes.
  var start: UInt64?
  var room: UInt64?

  init(_ file: LinuxKernelFile) {
    size = file.size
    version = file.header.version
    setupSize = file.header.setupSize
    protectedModeSize = file.header.protectedModeSize
    isOf64Bits = file.header.isOf64Bits
    start = file.header.runningPlace?.start
    room = file.header.runningPlace?.size
  }

  /// What a header of 32-bit fields cannot have said is refused.
  var file: LinuxKernelFile {
    get throws(CaseError) {
      guard [setupSize, protectedModeSize, start ?? 0, room ?? 0].allSatisfy({ $0 <= 1 << 40 }) else {
        throw .malformed(
          file: CaseFormat.File.document.rawValue, reason: "kernelFile: a size beyond any setup header's")
      }
      var place: LinuxSetupHeader.RunningPlace?
      if let start, let room { place = LinuxSetupHeader.RunningPlace(start: start, size: room) }
      return LinuxKernelFile(
        header: LinuxSetupHeader(
          version: version, setupSize: setupSize, protectedModeSize: protectedModeSize, isOf64Bits: isOf64Bits,
          runningPlace: place),
        size: size)
    }
  }
}
