import Foundation
import JSONDocuments
import Testing

/// The text of `inquest cpu` and its JSON, as a user gets them.
@Suite("inquest cpu")
struct CPUCommandTests {
  /// What QEMU said is kept from test to test: it is asked once, before the first.
  private static let answers = Task {
    let folder = try Folder()
    _ = try await inquest(["cpu", "--format", "table"], environment: ["XDG_CACHE_HOME": folder.path])
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path("inquest"))
    return try names.map { ($0, try folder.text(of: "inquest/\($0)")) }
  }

  private func cpu(_ arguments: [String], environment: [String: String] = [:]) async throws -> FinishedCommand {
    let finished = try await run(arguments, environment: environment)
    #expect(finished.status == 0, "\(finished)")
    return finished
  }

  private func run(_ arguments: [String], environment: [String: String] = [:]) async throws -> FinishedCommand {
    let folder = try Folder()
    _ = try folder.makeFolder("inquest")
    for (name, text) in try await Self.answers.value { _ = try folder.write(text.utf8, to: "inquest/\(name)") }
    let kept = ["XDG_CACHE_HOME": folder.path]
    return try await inquest(["cpu"] + arguments, environment: kept.merging(environment) { $1 })
  }

  private func document(_ arguments: [String]) async throws -> JSONValue {
    let finished = try await cpu(arguments + ["--format", "json"])
    let document = try JSONValue(finished.standardOutput)
    #expect(document["schema"]?.number == 1)
    return document
  }

  private func fixture(_ name: String, file: String = #filePath) -> String {
    URL(filePath: file).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Fixtures/\(name)").path
  }

  @Test("a model, in words")
  func model() async throws {
    let text = try await cpu(["Haswell", "--accel", "tcg"]).standardOutput
    for words in [
      "Haswell-v1", "GenuineIntel, family 6, model 60, stepping 4", "x86-64-v3", "40 physical bits", "Haswell-noTSX",
      "Paging and protection", "Floating point and vectors", "256-bit integer vectors", "not offered by TCG here",
    ] {
      #expect(text.contains(words), "\(words)")
    }
    #expect(!text.contains("pdpe1gb") && !text.contains("\u{1B}"))
  }

  @Test("each feature of a model has one who decided it")
  func decisions() async throws {
    let document = try await document(["Haswell,+pdpe1gb,-avx2", "--accel", "tcg"])
    #expect(document["model"]?.string == "Haswell-v1" && document["accelerator"]?.string == "tcg")
    let features = document["features"]?.array ?? []
    func decision(_ name: String) -> (Bool?, String?) {
      let feature = features.first { $0["feature"]?["name"]?.string == name }
      return (feature?["isOn"]?.boolean, feature?["decidedBy"]?.string)
    }
    #expect(decision("pdpe1gb") == (true, "by +pdpe1gb"))
    #expect(decision("avx2") == (false, "by -avx2"))
    #expect(decision("avx") == (true, "by the model Haswell"))
    #expect(decision("hle") == (false, "by tcg, which does not offer it"))
  }

  @Test("the models and what this host can offer")
  func models() async throws {
    let text = try await cpu([]).standardOutput
    #expect(text.contains("Skylake-Server") && text.contains("x86-64-v4") && text.contains("This host"))
    let names = (try await document([])["models"]?.array ?? []).compactMap { $0["name"]?.string }
    #expect(names.contains("Haswell-v4") && names.contains("EPYC-Milan-v1"))
  }

  /// QEMU itself is asked for each model.
  @Test("the models that have a feature are exactly those of which QEMU says so")
  func needs() async throws {
    let document = try await document(["--needs", "pdpe1gb"])
    let models = Set((document["models"]?.array ?? []).compactMap(\.string))
    #expect(models == (try await QEMUModels.names(having: "pdpe1gb")))
    #expect(document["needs"]?.array?.first?["bit"]?.string == "CPUID.80000001H:EDX[26]")
  }

  @Test("what this host's KVM cannot offer is said first")
  func withheld() async throws {
    guard await HostKVM.isUsable else { return }
    let offers = try await HostKVM.offers("pdpe1gb")
    let text = try await cpu(["--needs", "pdpe1gb"]).standardOutput
    #expect(text.hasPrefix("This host's KVM cannot offer pdpe1gb") == !offers, "\(text)")
    #expect(try await document(["--needs", "pdpe1gb"])["kvmOffers"]?.boolean == offers)
  }

  @Test(
    "the smallest addition to a -cpu",
    arguments: [
      (["Haswell", "--needs", "pdpe1gb"], "Haswell,+pdpe1gb"), (["Haswell", "--needs", "avx2,movbe"], "Haswell"),
      (["qemu64,-pni", "--needs", "sse3,SSE4_1"], "qemu64,+pni,+sse4.1"),
      (["Skylake-Server", "--level", "x86-64-v4"], "Skylake-Server"),
    ])
  func addition(_ arguments: [String], _ expected: String) async throws {
    #expect(try await document(arguments)["use"]?.string == expected)
  }

  @Test("two models, and a model and a file")
  func comparison() async throws {
    let document = try await document(["--compare", "Haswell", "Skylake-Server"])
    let added = (document["onlyInB"]?.array ?? []).compactMap { $0["name"]?.string }
    #expect(added.contains("pdpe1gb") && added.contains("avx512f") && document["onlyInA"]?.array?.isEmpty == true)
    let text = try await cpu(["--compare", "Haswell", fixture("processors/epyc.cpuid.txt")]).standardOutput
    #expect(text.contains("a dump of cpuid -r") && text.contains("GenuineIntel and AuthenticAMD"))
    let same = try await cpu(["--compare", "EPYC", "EPYC-v1"]).standardOutput
    #expect(same.contains("They have the same features."))
  }

  @Test("what a guest was told, from a trace")
  func trace() async throws {
    let text = try await cpu(["--compare", "Haswell", fixture("one-gib-pages/dies.report.txt")]).standardOutput
    #expect(text.contains("kvm_cpuid events"), "\(text)")
  }

  @Test("a -cpu for several hosts")
  func baseline() async throws {
    let files = [fixture("processors/epyc.cpuid.txt"), fixture("processors/epyc.cpuinfo.txt")]
    let document = try await document(["--baseline"] + files)
    let model = try #require(document["cpu"]?.string)
    #expect(document["hosts"]?.array?.count == 2 && document["level"]?.string == "x86-64-v4")
    #expect((document["models"]?.array ?? []).contains { $0.string == document["model"]?.string })
    let text = try await cpu(["--baseline"] + files).standardOutput
    #expect(text.hasPrefix("-cpu \(model) works on all 2 hosts"))
  }

  @Test("what a host's KVM offers can be kept in a file, for a baseline elsewhere")
  func offer() async throws {
    guard await HostKVM.isUsable else { return }
    let folder = try Folder()
    let offer = try await cpu(["host", "--format", "json"]).standardOutput
    let file = try folder.write(offer.utf8, to: "host.json")
    let baseline = try await document(["--baseline", file, "host"])
    let best = try #require(baseline["cpu"]?.string)
    // QEMU itself takes the model here, and all of it.
    #expect(try await HostKVM.takes(best))
  }

  @Test("what an instruction needs")
  func instruction() async throws {
    let document = try await document(["--instruction", "c5 f5 ef c0"])
    #expect(document["instruction"]?.string == "vpxor ymm0, ymm1, ymm0" && document["instructionSet"]?.string == "AVX2")
    let features = (document["features"]?.array ?? []).compactMap { $0.array?.first?["name"]?.string }
    #expect(features == ["avx", "avx2"])
    let enables = (document["enables"]?.array ?? []).compactMap(\.string)
    #expect(enables == ["CR0.TS=0", "CR4.OSXSAVE=1", "XCR0.SSE=1", "XCR0.AVX=1"])
    #expect(try await cpu(["--instruction", "0x90"]).standardOutput.contains("every processor has it"))
  }

  @Test("a table of another QEMU can be kept in a file, and asked")
  func tables() async throws {
    let folder = try Folder()
    let table = try await cpu(["--format", "table"]).standardOutput
    let path = try folder.write(table.utf8, to: "models")
    let other = try folder.write(table.replacing("Haswell", with: "Hazwell").utf8, to: "other")
    #expect(try await cpu(["--qemu", path, "--format", "table"]).standardOutput == table)
    let text = try await cpu(["Hazwell", "--qemu", other, "--accel", "tcg"]).standardOutput
    #expect(text.contains("Hazwell-v1"))
  }

  @Test("where no QEMU is installed, the models shipped are used, and that is said")
  func noQEMU() async throws {
    let finished = try await cpu(["Haswell", "--accel", "tcg"], environment: ["PATH": "/nonexistent"])
    #expect(finished.standardOutput.contains("Haswell-v1"))
    #expect(finished.standardError.contains("which Inquest ships"))
  }

  @Test("what QEMU said is kept, and asked for again where what was kept is damaged")
  func cache() async throws {
    let folder = try Folder()
    let environment = ["XDG_CACHE_HOME": folder.path]
    let table = try await cpu(["--format", "table"], environment: environment).standardOutput
    let kept = try FileManager.default.contentsOfDirectory(atPath: folder.path("inquest"))
    #expect(kept.count == 1)
    let file = folder.path("inquest/\(try #require(kept.first))")
    #expect(try String(contentsOfFile: file, encoding: .utf8) == table)
    try "qemu 1.0\nnonsense".write(toFile: file, atomically: false, encoding: .utf8)
    #expect(try await cpu(["--format", "table"], environment: environment).standardOutput == table)
    // Where nothing can be kept, all goes on without.
    let nowhere = ["XDG_CACHE_HOME": "/proc/nowhere"]
    #expect(try await cpu(["--format", "table"], environment: nowhere).standardOutput == table)
  }

  static let mistakes: [([String], Int32, String)] = [
    (["haswell"], 1, "did you mean Haswell"), (["Haswell,+pdpe1g"], 1, "did you mean pdpe1gb"),
    (["Haswell,pdpe1g=on"], 1, "did you mean pdpe1gb"),
    (["--needs", "pdpe1g"], 1, "did you mean pdpe1gb"), (["host", "--accel", "tcg"], 1, "needs KVM"),
    (["--compare", "Haswell", "nonsense"], 1, "no CPU model nonsense"), (["--instruction", "0f"], 1, "end before"),
    (["--baseline", "/nonexistent/a", "/nonexistent/b"], 1, "/nonexistent/a"),
    (["--qemu", "/nonexistent/qemu"], 1, "/nonexistent/qemu"), (["--compare", "Haswell"], 2, "--compare"),
    (["--needs", ","], 2, "--needs"), (["--instruction", "xyz"], 2, "--instruction"),
    (["--level", "v9"], 2, "--level"),
    (["--baseline", "a"], 2, "--baseline"), (["--accel", "xen"], 2, "--accel"), (["--format", "yaml"], 2, "yaml"),
    (["--needs", "avx", "--level", "v3"], 2, "at a time"),
  ]

  @Test("a mistake is named, with what was meant", arguments: mistakes)
  func mistake(_ arguments: [String], _ status: Int32, _ words: String) async throws {
    let finished = try await run(arguments)
    #expect(finished.status == status, "\(finished)")
    #expect(finished.standardError.contains(words), "\(finished)")
    #expect(finished.standardOutput.isEmpty)
  }
}
