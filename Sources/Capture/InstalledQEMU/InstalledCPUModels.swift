import Glibc
public import QEMU
import SystemPackage
import X86

extension CPUModelTable {
  /// The CPU models of the QEMU that `program` names, found along PATH.
  ///
  /// QEMU is asked once, which takes a second or two; the answer is kept in the user's cache folder until the program, or
  /// whether KVM can be used, changes.
  ///
  /// - Parameter usesCache: Whether an answer that was kept may do, and a new one is kept.
  public static func installed(_ program: String, usesCache: Bool = true) throws(CaptureError) -> CPUModelTable {
    let usesKVM = HostKVM.current().device == .usable
    let cache = usesCache ? CPUModelCache(program: program, usesKVM: usesKVM) : nil
    if let table = cache?.table { return table }
    let table = try asked(program, usesKVM: usesKVM)
    cache?.keep(table)
    return table
  }

  private static func asked(_ program: String, usesKVM: Bool) throws(CaptureError) -> CPUModelTable {
    let tcg = try answers(program, .tcg)
    let probe = CPUModelQuery.tcgProbe(of: tcg)
    let tcgFeatures = try InstalledQEMU(program, ["-machine", "pc", "-accel", "tcg", "-cpu", probe]).features
    // A KVM that QEMU cannot use is as none.
    let kvm = usesKVM ? try? answers(program, .kvm) : nil
    return CPUModelQuery.table(tcg: tcg, tcgFeatures: tcgFeatures ?? FeatureSet(), kvm: kvm)
  }

  private static func answers(_ program: String, _ accelerator: Accelerator) throws(CaptureError)
    -> CPUModelQuery.Answers
  {
    let qemu = try InstalledQEMU(program, ["-machine", "pc", "-accel", accelerator.rawValue])
    do throws(QMPRefusal) {
      return try CPUModelQuery.answers { command throws(QMPRefusal) in try qemu.ask(command) }
    } catch {
      throw .controlLost(program: program)
    }
  }
}

/// Where the answers of one QEMU are kept: in XDG_CACHE_HOME or ~/.cache (XDG Base Directory Specification).
private struct CPUModelCache {
  private let folder: FilePath
  private let file: FilePath

  /// Nil where there is no such program or no such folder.
  init?(program: String, usesKVM: Bool) {
    guard let path = Self.path(of: program), let folder = Self.cacheFolder else { return nil }
    var status = stat()
    // stat fills the structure.
    guard unsafe stat(path.string, &status) == 0 else { return nil }
    let identity = "\(status.st_ino)-\(status.st_size)-\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
    self.folder = folder
    // The form of the text has a number of its own, raised whenever the form or the questions change.
    file = folder.appending(
      "cpu-models-1-\(path.lastComponent?.string ?? "qemu")-\(identity)-\(usesKVM ? "kvm" : "tcg")")
  }

  /// What is kept; nil where that is nothing, or damaged.
  var table: CPUModelTable? {
    guard let text = try? wholeText(file) else { return nil }
    return try? CPUModelTable(text)
  }

  /// Keeps the table, in one step: a reader sees the whole or nothing. Where it cannot be kept, QEMU is asked again.
  func keep(_ table: CPUModelTable) {
    // These calls only read the strings they are given.
    for folder in [folder.removingLastComponent(), folder] { unsafe mkdir(folder.string, 0o755) }
    let draft = FilePath("\(file).\(getpid())")
    do {
      let descriptor = try FileDescriptor.open(
        draft, .writeOnly, options: [.create, .truncate, .closeOnExec],
        permissions: [.ownerReadWrite, .groupRead, .otherRead])
      try descriptor.closeAfter { _ = try descriptor.writeAll(Array(table.text.utf8)) }
      unsafe rename(draft.string, file.string)
    } catch {
      unsafe unlink(draft.string)
    }
  }

  private static var cacheFolder: FilePath? {
    if let base = environmentVariable("XDG_CACHE_HOME"), base.hasPrefix("/") {
      return FilePath(base).appending("inquest")
    }
    return environmentVariable("HOME").map { FilePath($0).appending(".cache").appending("inquest") }
  }

  /// The file that execvp would run.
  private static func path(of program: String) -> FilePath? {
    if program.contains("/") { return FilePath(program) }
    let folders = (environmentVariable("PATH") ?? "/usr/bin:/bin").split(separator: ":")
    return folders.lazy.map { FilePath(String($0)).appending(program) }.first { unsafe access($0.string, X_OK) == 0 }
  }
}
