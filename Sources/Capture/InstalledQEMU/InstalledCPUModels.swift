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

/// Where the answers of one QEMU are kept.
private struct CPUModelCache {
  private let file: CacheFile

  /// Nil where there is no such program or no such folder.
  init?(program: String, usesKVM: Bool) {
    guard let path = Self.path(of: program) else { return nil }
    var status = stat()
    // stat fills the structure.
    guard unsafe stat(path.string, &status) == 0 else { return nil }
    let identity = "\(status.st_ino)-\(status.st_size)-\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
    // The form of the text has a number of its own, raised whenever the form or the questions change.
    let name = "cpu-models-1-\(path.lastComponent?.string ?? "qemu")-\(identity)-\(usesKVM ? "kvm" : "tcg")"
    guard let file = CacheFile(named: name) else { return nil }
    self.file = file
  }

  /// What is kept; nil where that is nothing, or damaged.
  var table: CPUModelTable? { file.text.flatMap { try? CPUModelTable($0) } }

  /// Keeps the table. Where it cannot be kept, QEMU is asked again.
  func keep(_ table: CPUModelTable) { file.keep(table.text) }

  /// The file that execvp would run.
  private static func path(of program: String) -> FilePath? {
    if program.contains("/") { return FilePath(program) }
    let folders = (environmentVariable("PATH") ?? "/usr/bin:/bin").split(separator: ":")
    return folders.lazy.map { FilePath(String($0)).appending(program) }.first { unsafe access($0.string, X_OK) == 0 }
  }
}
