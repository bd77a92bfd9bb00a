import Capture
import FoundationEssentials
import GuestImage
import QEMU
import SystemPackage
import X86

extension GuestImage {
  /// The image of a run's guest: the file that was named, which must be one, or what QEMU's `-kernel` names, which need
  /// not; nil without either.
  init?(of commandLine: QEMUCommandLine, at path: String?) throws(Failure) {
    if let path {
      try self.init(fileAt: path)
    } else if let kernel = commandLine.kernelPath, let image = try? GuestImage(fileAt: kernel) {
      self = image
    } else {
      return nil
    }
  }

  /// The image that `-kernel` names, if it is still the one that ran.
  init?(of commandLine: QEMUCommandLine?, unchangedSince files: [String]) {
    guard let kernel = commandLine?.kernelPath(unchangedSince: files), let image = try? GuestImage(fileAt: kernel)
    else { return nil }
    standardError.write("inquest: the guest's code is taken from \(kernel), as the command line names it\n")
    self = image
  }

  /// Where TCG shows the registers with a new CR0 or CR3 in force. A kernel with many such places changes its address
  /// space too often for that; there the first ones must do.
  var addressesAfterPagingChanges: [UInt64] {
    let sites = controlRegisterWriteSites(.cr0) + controlRegisterWriteSites(.cr3)
    let few = sites.count <= 16 ? sites : controlRegisterWriteSites(.cr0, limit: 16)
    return Set(few.flatMap { [$0.virtual.rawValue, $0.physical.rawValue] }).sorted()
  }

  /// Where the guest is looked at when it turns on paging: behind its writes to CR0, as linear addresses before and after.
  var addressesAfterCR0Writes: [LinearAddress] {
    let sites = controlRegisterWriteSites(.cr0, limit: 4)
    return Set(sites.flatMap { [$0.virtual, LinearAddress($0.physical.rawValue)] }).sorted()
  }
}

extension LinuxKernelFile {
  /// The Linux kernel that `-kernel` names, if it is still the one that ran.
  init?(of commandLine: QEMUCommandLine?, unchangedSince files: [String]) {
    guard let kernel = commandLine?.kernelPath(unchangedSince: files) else { return nil }
    self.init(at: FilePath(kernel))
  }
}

extension QEMUCommandLine {
  /// What `-kernel` names, if it has not changed since `files`, the record of the run, were written.
  fileprivate func kernelPath(unchangedSince files: [String]) -> String? {
    guard let kernelPath, let changed = Self.modification(of: kernelPath),
      let recorded = files.map(Self.modification).max(by: { ($0 ?? .distantPast) < ($1 ?? .distantPast) }) ?? nil,
      changed <= recorded
    else { return nil }
    return kernelPath
  }

  private static func modification(of path: String) -> Date? {
    (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date
  }
}
