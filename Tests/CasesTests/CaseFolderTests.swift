import Capture
import FileBuilding
import Foundation
import GuestMemory
import Investigation
import QEMU
import SystemPackage
import Testing
import X86

@testable import Cases

@Suite("a case folder")
struct CaseFolderTests {
  @Test("gives back what was kept")
  func roundTrip() throws {
    let sample = try SampleCase()
    defer { sample.remove() }
    try sample.write()
    let read = try Case(at: sample.path)
    let record = sample.record
    #expect(read.created == record.created)
    #expect(!read.isRedacted)
    #expect(read.commandLine == record.commandLine)
    #expect(read.host == record.host)
    #expect(read.kvmParameters == record.kvmParameters)
    #expect(read.memory == .read)
    #expect(read.image == record.image)
    #expect(read.verdict == record.verdict)
    #expect(read.scene.ending == .reset)
    #expect(read.scene.identity == record.scene.identity)
    #expect(read.scene.registers == record.scene.registers)
    #expect(read.scene.secondRun == record.scene.secondRun)
    #expect(read.scene.log == record.scene.log)
    #expect(read.scene.standardError == record.scene.standardError)
    #expect(read.scene.textScreen == record.scene.textScreen)
    #expect(read.scene.logsTripleFaults)
    #expect(read.scene.shutdownCause == .guestReset)
    #expect(read.scene.memory.map == SampleCase.map)
  }

  @Test("gives back the trace, event by event")
  func trace() throws {
    let sample = try SampleCase()
    defer { sample.remove() }
    try sample.write()
    guard case .recorded(let recording) = try Case(at: sample.path).scene.recording else {
      Issue.record("there is no trace")
      return
    }
    let expected = SampleCase.recording
    #expect(recording.samples.map(\.time) == expected.samples.map(\.time))
    #expect(recording.samples.map(\.cpu) == expected.samples.map(\.cpu))
    #expect(recording.samples.map(\.followsLoss) == expected.samples.map(\.followsLoss))
    #expect(recording.account.met == 8)
    #expect(recording.account.dropped == 5)
    #expect(recording.account.hasUnplacedLosses)
    #expect(recording.samples.map(\.threadID) == expected.samples.map(\.threadID))
    #expect(recording.samples.map { Array($0.payload) } == expected.samples.map { Array($0.payload) })
    #expect(recording.threadNames == expected.threadNames)
    #expect(recording.tracepoints == expected.tracepoints)
  }

  @Test(
    "gives back memory that was kept, and knows what was not, and what is none",
    arguments: [
      (0x1000 as UInt64, nil), (0x2FF8, nil), (0xF0FF8, nil), (0x3000, .notCaptured), (0xB8000, .device),
      (0x10_0000, .unbacked),
    ] as [(UInt64, UnavailableMemory.Reason?)])
  func memory(_ address: UInt64, _ reason: UnavailableMemory.Reason?) throws {
    let sample = try SampleCase()
    defer { sample.remove() }
    try sample.write()
    let place = PhysicalAddress(address)
    let kept = try Case(at: sample.path).scene.memory
    guard let reason else {
      #expect(try kept.loadUInt64(at: place) == sample.record.scene.memory.loadUInt64(at: place))
      return
    }
    #expect(throws: UnavailableMemory(address: place, reason: reason)) { try kept.loadUInt64(at: place) }
  }

  @Test("has all of the guest's RAM and ROM if asked to")
  func fullMemory() throws {
    let sample = try SampleCase()
    defer { sample.remove() }
    try sample.record.write(to: sample.path, pages: nil)
    #expect(try Case(at: sample.path).scene.memory.loadUInt64(at: PhysicalAddress(0xF0000)) == 0xEFEF_EFEF_EFEF_EFEF)
  }

  @Test("is for its owner only, and nothing is left beside it")
  func permissions() throws {
    let sample = try SampleCase()
    defer { sample.remove() }
    try sample.write()
    let attributes = try FileManager.default.attributesOfItem(atPath: sample.path.string)
    #expect(attributes[.posixPermissions] as? Int == 0o700)
    #expect(try FileManager.default.contentsOfDirectory(atPath: sample.folder.string) == ["case"])
  }

  @Test("takes no place that is taken, and an empty folder's")
  func occupied() throws {
    let sample = try SampleCase()
    defer { sample.remove() }
    try FileManager.default.createDirectory(atPath: sample.path.string, withIntermediateDirectories: false)
    try sample.write()
    #expect(throws: CaseError.occupied(sample.path.string)) { try sample.write() }
    #expect(try FileManager.default.contentsOfDirectory(atPath: sample.folder.string) == ["case"])
  }

  @Test("names nobody if redacted, in no file")
  func redacted() throws {
    let sample = try SampleCase()
    defer { sample.remove() }
    try sample.write(redaction: Redaction(users: ["alice"], hosts: []))
    for file in CaseFormat.File.allCases {
      let bytes = try ScratchFile.contents(of: sample.file(file))
      #expect(Data(bytes).range(of: Data("alice".utf8)) == nil, "\(file)")
    }
    let read = try Case(at: sample.path)
    #expect(read.isRedacted)
    #expect(read.commandLine.kernelPath == "/home/xxxxx/a b.elf")
  }
}

@Suite("a case folder that means harm")
struct HostileCaseTests {
  /// What somebody may have put in the place of a file of a case.
  enum Trick: CaseIterable {
    case link, linkToNowhere, fifo, folder, tooLarge, noise, empty

    func play(on path: FilePath) throws {
      let manager = FileManager.default
      try manager.removeItem(atPath: path.string)
      switch self {
      case .link: try manager.createSymbolicLink(atPath: path.string, withDestinationPath: "/etc/passwd")
      case .linkToNowhere: try manager.createSymbolicLink(atPath: path.string, withDestinationPath: "/no/such/file")
      case .fifo: try #require(unsafe mkfifo(path.string, 0o600) == 0)
      case .folder: try manager.createDirectory(atPath: path.string, withIntermediateDirectories: false)
      case .tooLarge:
        let file = try FileDescriptor.open(path, .writeOnly, options: .create, permissions: .ownerReadWrite)
        try file.closeAfter { try #require(ftruncate(file.rawValue, 1 << 45) == 0 || errno == EFBIG) }
      case .noise: try Data((0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 7) }).write(to: URL(filePath: path.string))
      case .empty: try Data().write(to: URL(filePath: path.string))
      }
    }

    /// Whether it can only be refused; else it may also be read as far as it goes.
    var isRefused: Bool { ![.noise, .empty, .tooLarge].contains(self) }
  }

  @Test("nothing is followed, waited for or read without a limit", arguments: CaseFormat.File.allCases, Trick.allCases)
  func trick(_ file: CaseFormat.File, _ trick: Trick) throws {
    let sample = try SampleCase()
    defer { sample.remove() }
    try sample.write()
    try trick.play(on: sample.file(file))
    do throws(CaseError) {
      _ = try Case(at: sample.path)
      #expect(!trick.isRefused)
    } catch {
      #expect(!error.description.isEmpty)
    }
  }

  @Test(
    "a document that is not what it should be is refused in words",
    arguments: [
      (#"{"format": 2}"#, "format 2"), (#"{"format": 99999999999999999999}"#, "case.json"), ("[]", "case.json"),
      (#"{"format": 1}"#, "case.json"), (String(repeating: "[", count: 100_000), "case.json"),
      (String(repeating: #"{"format":"#, count: 100_000), "case.json"), ("", "case.json"),
    ])
  func document(_ text: String, _ words: String) throws {
    let sample = try SampleCase()
    defer { sample.remove() }
    try sample.write()
    try Data(text.utf8).write(to: URL(filePath: sample.file(.document).string))
    let error = #expect(throws: CaseError.self) { try Case(at: sample.path) }
    #expect(error?.description.contains(words) == true, "\(String(describing: error))")
  }

  @Test("a document that is cut off or changed anywhere is refused, or read as what it says")
  func damagedDocument() throws {
    let sample = try SampleCase()
    defer { sample.remove() }
    let json = CaseDocument(sample.record).json
    for count in stride(from: 0, to: json.count - 2, by: 7) {
      #expect(throws: CaseError.self) { try CaseDocument(json: Array(json[..<count])) }
    }
    for place in stride(from: 0, to: json.count, by: 3) {
      var changed = json
      changed[place] = changed[place] == 0x39 ? 0x2D : 0x39
      guard let document = try? CaseDocument(json: changed) else { continue }
      _ = try? document.ending.ending
      _ = try? document.qemu?.identity
      _ = try? document.host.facts
    }
  }

  @Test("files that are cut off anywhere", arguments: [CaseFormat.File.trace, .memory, .memoryMap])
  func cutOff(_ file: CaseFormat.File) throws {
    let sample = try SampleCase()
    defer { sample.remove() }
    try sample.write()
    let bytes = try ScratchFile.contents(of: sample.file(file))
    for count in stride(from: 0, to: bytes.count, by: max(bytes.count / 100, 1)) {
      try Data(bytes[..<count]).write(to: URL(filePath: sample.file(file).string))
      guard let read = try? Case(at: sample.path) else { continue }
      _ = try? read.scene.memory.loadUInt64(at: PhysicalAddress(0x1000))
    }
  }
}

@Suite("what is said in a case's JSON")
struct CaseDocumentTests {
  static let endings: [GuestEnding] = [
    .reset, .poweroff, .panicked(nil), .panicked(.object(["action": .string("pause")])), .internalError, .ioError,
    .watchdog, .timedOut, .gone, .stopped(.debug), .exited(status: 33), .signalled(11), .interrupted(signal: 2),
    .refusedToStart(.exited(status: 1)), .refusedToStart(.signalled(6)), .silent(.busy), .silent(nil),
  ]

  @Test("every ending", arguments: endings)
  func ending(_ ending: GuestEnding) throws {
    let json = try JSONEncoder().encode(EndingDocument(ending))
    #expect(try JSONDecoder().decode(EndingDocument.self, from: json).ending == ending)
  }

  @Test("features, also of MSRs and subleaves")
  func features() throws {
    var report = FeatureReport()
    report.known[.cpuid(7, 1, .eax)] = 0xFFFF_FFFF
    report.features[.cpuid(7, 1, .eax)] = 0x30
    report.known[.msr(0x10A)] = .max
    report.features[.msr(0x10A)] = 1 << 63
    #expect(try [FeatureWordDocument](report).report == report)
  }

  @Test("words that are none", arguments: ["CPUID.0x1.0x0.EFX", "CPUID.0x100000000.0x0.EAX", "MSR", "", "MSR.10"])
  func noWord(_ word: String) {
    #expect(throws: CaseError.self) { try [FeatureWordDocument(word: word, known: "0x1", on: "0x1")].report }
  }
}

@Suite("where cases are kept")
struct CaseStoreTests {
  @Test(
    "in the state folder of the user",
    arguments: [
      (["XDG_STATE_HOME": "/s", "HOME": "/h"], "/s/inquest"), (["HOME": "/h"], "/h/.local/state/inquest"),
      (["XDG_STATE_HOME": "relative", "HOME": "/h"], "/h/.local/state/inquest"), ([:], nil),
    ] as [([String: String], String?)])
  func place(_ environment: [String: String], _ path: String?) {
    #expect(CaseStore(environment: environment)?.folder.string == path)
  }

  @Test("the oldest go when there is no room, the newest stays whatever its size")
  func limit() throws {
    let sample = try SampleCase()
    defer { sample.remove() }
    var store = CaseStore(folder: sample.folder.appending("store"))
    for day in 1...5 {
      try sample.record.write(to: try store.newCase(at: "2026-11-0\(day)T00:00:00Z"), pages: [])
    }
    func names() throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: store.folder.string).sorted().map { String($0.prefix(13)) }
    }
    store.removeOldest()
    #expect(try names().count == 5)
    store.limit = 1
    try Data().write(to: URL(filePath: store.folder.appending("mine").string))
    store.removeOldest()
    #expect(try names() == ["case-20261105", "mine"])
  }

  @Test("what a process that is no more left unfinished is removed; what another one is at stays")
  func leftovers() throws {
    let sample = try SampleCase()
    defer { sample.remove() }
    let store = CaseStore(folder: sample.folder)
    let process = Process()
    process.executableURL = URL(filePath: "/bin/true")
    try process.run()
    process.waitUntilExit()
    let names = [process.processIdentifier, getppid()].map { "\(UnfinishedFolder.prefix)\($0)" }
    for name in names {
      try FileManager.default.createDirectory(
        atPath: sample.folder.appending(name).string, withIntermediateDirectories: false)
    }
    let path = try store.newCase(at: "2026-11-28T08:26:04Z")
    try sample.record.write(to: path, pages: [])
    let left = try FileManager.default.contentsOfDirectory(atPath: sample.folder.string)
    #expect(left.sorted() == [names[1], path.lastComponent?.string])
  }
}
