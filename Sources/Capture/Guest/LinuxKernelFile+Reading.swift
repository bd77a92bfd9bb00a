import Glibc
public import QEMU
public import SystemPackage

extension LinuxKernelFile {
  /// Reads the setup header of the file at `path`; nil where it is none of a Linux kernel, or no regular file: what comes through a pipe is
  /// QEMU's to read.
  public init?(at path: FilePath) {
    var status = stat()
    // stat fills one structure.
    guard unsafe stat(path.string, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      let file = try? OwnedDescriptor(opening: { try .open(path, .readOnly, options: [.closeOnExec, .nonBlocking]) })
    else { return nil }
    var bytes = [UInt8](repeating: 0, count: LinuxSetupHeader.size)
    // The kernel writes into the array's own storage.
    let count = unsafe try? bytes.withUnsafeMutableBytes {
      unsafe try file.descriptor.read(fromAbsoluteOffset: 0, into: $0)
    }
    guard count == bytes.count, let header = LinuxSetupHeader(bytes) else { return nil }
    self.init(header: header, size: UInt64(max(status.st_size, 0)))
  }
}
