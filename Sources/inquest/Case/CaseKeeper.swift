import ArgumentParser
import Capture
import Cases
import FoundationEssentials
import Glibc
import GuestImage
import GuestMemory
import Investigation
import QEMU
import Reports
import SystemPackage
import X86

/// Keeps a run's guest as a case, once the verdict has been shown.
struct CaseKeeper {
  let options: CaseOptions
  let commandLine: QEMUCommandLine
  /// The guest's own ELF file, and what it is called.
  let image: GuestImage?
  let imagePath: String?

  /// Keeps the case if it is wanted, and says where.
  ///
  /// - Parameter scene: What the verdict was given on. Its memory must be such that it notes what is read of it, for that is
  ///   kept.
  func keep(_ verdict: Verdict, _ guest: GuestScene, _ scene: Scene, _ memory: RecordingMemory) {
    guard isWanted(verdict) else { return }
    scene.withRegistersAtShutdown.readPagesThatMatter()
    let record = record(verdict, guest, scene, isCut: memory.isCut)
    do throws(CaseError) {
      let (path, store) = try place(record)
      try record.write(
        to: path, pages: options.fullMemory ? nil : memory.pages, redaction: options.redact ? .ofThisHost : nil)
      store?.removeOldest()
      standardError.write("\(path.caseLine)\n")
    } catch {
      standardError.write("inquest: no case was kept: \(error)\n")
    }
  }

  private func isWanted(_ verdict: Verdict) -> Bool {
    if options.noSave { return false }
    return options.save != nil || verdict.outcome == .died || verdict.outcome == .hung
  }

  private func place(_ record: Case) throws(CaseError) -> (FilePath, CaseStore?) {
    if let save = options.save { return (FilePath(save), nil) }
    guard let store = CaseStore(environment: ProcessInfo.processInfo.environment) else {
      throw .system(doing: "HOME and XDG_STATE_HOME name no folder for it", errno: ENOENT)
    }
    return (try store.newCase(at: record.created), store)
  }

  private func record(_ verdict: Verdict, _ guest: GuestScene, _ scene: Scene, isCut: Bool) -> Case {
    let name = imagePath.map(citedName)
    return Case(
      inquestVersion: Inquest.configuration.version, created: Date.now.formatted(.iso8601), commandLine: commandLine,
      scene: guest, host: scene.host, kvmParameters: HostKVM.current().moduleParameters,
      processorVendor: LinuxProcessor.current()?.vendor,
      memory: options.fullMemory ? .full : isCut ? .readInPart : .read,
      image: image.map { Case.Image($0, name: name ?? "kernel") }, verdict: JSONReport().text(of: verdict))
  }
}

extension FilePath {
  /// The line that says where a case is and what to do with it.
  var caseLine: String {
    let name = QEMUCommandLine(program: "inquest", arguments: ["examine", string]).shellText
    return "case: \(string)   \(name)"
  }
}

extension Redaction {
  /// What names this host and its user.
  static var ofThisHost: Redaction {
    let environment = ProcessInfo.processInfo.environment
    let home = FileManager.default.homeDirectoryForCurrentUser.path
    let homes = [home, environment["HOME"]].map { $0.flatMap { FilePath($0).lastComponent?.string } }
    let users = [ProcessInfo.processInfo.userName, environment["SUDO_USER"]] + homes
    return Redaction(users: users.compactMap(\.self), hosts: [ProcessInfo.processInfo.hostName])
  }
}

extension Scene {
  /// How much of the stack is kept, in bytes from RSP on.
  private static let stackSize: UInt64 = 4 << 12

  /// Reads, of each processor, the pages that a colleague will look at whatever the verdict needed: code, stack, IDT, GDT
  /// and TSS, and the tables that lead there.
  fileprivate func readPagesThatMatter() {
    guard let memory else { return }
    for processor in processors {
      let state = processor.state
      guard let paging = Paging(state, rules: PagingRules()) else { continue }
      let places: [(LinearAddress, UInt64)] = [
        (state.instructionAddress, 64), (LinearAddress(state.stackAddress), Self.stackSize),
        (state.idtr.base, UInt64(state.idtr.limit) + 1), (state.gdtr.base, UInt64(state.gdtr.limit) + 1),
        (LinearAddress(state.tr.base), 104),
      ]
      for (start, count) in places { Self.read(start, count, paging, memory) }
    }
  }

  private static func read(_ start: LinearAddress, _ count: UInt64, _ paging: Paging, _ memory: any PhysicalMemory) {
    let access = PageAccess(.read, by: .supervisor)
    for offset in stride(from: 0, to: count + (start.rawValue & 0xFFF), by: 4096) {
      let page = LinearAddress(start.rawValue & ~0xFFF &+ offset)
      _ = try? paging.bytes(at: page, count: 4096, for: access, in: memory)
    }
  }
}
