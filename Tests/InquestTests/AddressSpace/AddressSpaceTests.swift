import JSONDocuments
import Subprocess
import Testing

extension UnderTCG {
  /// inquest walk and inquest map, on a guest that runs and on its dumps.
  @Suite("inquest walk and inquest map")
  struct AddressSpaceTests {
    /// Runs a guest that halts at its end, and gives its QMP socket and a dump of it to `body` while it does.
    private func withGuest(
      _ name: String, _ options: [String] = [],
      _ body: @escaping @Sendable (_ socket: String, _ dump: String) async throws -> Void
    ) async throws {
      let folder = try Folder()
      let (socket, monitor, dump) = (folder.path("qmp"), folder.path("monitor"), folder.path("core"))
      let qemu = Command(
        "qemu-system-x86_64",
        [
          "-accel", "tcg", "-m", "128", "-display", "none", "-serial", "stdio", "-kernel",
          try ExampleGuest(name).path(),
        ]
          + ["-qmp", "unix:\(socket),server=on,wait=off", "-qmp", "unix:\(monitor),server=on,wait=off"] + options)
      let finished = try await qemu.run { running in
        try await running.awaitOutput("OK")
        var user = try await UserMonitor(path: monitor, of: running)
        try user.send("qmp_capabilities")
        try user.send("dump-guest-memory", arguments: #"{"paging": false, "protocol": "file:\#(dump)"}"#)
        // The greeting's answer, and the dump's.
        _ = try await user.awaitLine("return")
        _ = try await user.awaitLine("return")
        try await body(socket, dump)
        try running.send(.terminate)
      }
      #expect(finished.status == 0, "\(finished)")
    }

    private func json(_ arguments: [String], status: Int32 = 0) async throws -> JSONValue {
      let finished = try await inquest(arguments + ["--format", "json"])
      #expect(finished.status == status, "\(finished)")
      return try JSONValue(finished.standardOutput)
    }

    private func judgements(_ document: JSONValue) -> [String: String] {
      var judgements: [String: String] = [:]
      for opinion in document["opinions"]?.array ?? [] {
        judgements[opinion["walker"]?.string ?? ""] = opinion["outcome"]?["judgement"]?.string
      }
      return judgements
    }

    @Test("a 1 GiB page: TCG walks it, KVM's walker refuses it")
    func walks() async throws {
      try await withGuest("one-gib-pages", ["-cpu", "Haswell,check=off"]) { socket, dump in
        for source in [["--qmp", socket], [dump, "--cpu", "Haswell", "--as", "tcg-7.2", "--as", "all"]] {
          let document = try await json(["walk", "40001234"] + source)
          #expect(document["outcome"]?["physicalAddress"]?.string == "0x40001234", "\(document)")
          #expect(document["levels"]?.array?.compactMap { $0["entry"]?.string } == ["PML4E", "PDPTE"])
          let judgements = judgements(document)
          #expect(judgements["kvm-6.19"] == "refused" && judgements["kvm-5.13-tdp"] == "refused", "\(judgements)")
          #expect(judgements["tcg-10.2"] == "accepted")
        }
        let refused = try await json(
          ["walk", "40001234", dump, "--cpu", "Haswell", "--as", "kvm-5.10", "--write"], status: 3)
        #expect(refused["outcome"]?["errorCode"]?.string == "0xb")
        // Without its CPUID nothing tells, and nothing is guessed.
        let open = try await json(["walk", "40001234", dump], status: 4)
        #expect(open["outcome"]?["judgement"]?.string == "undecided")
      }
    }

    @Test("the map, its trouble, and the way back from physical addresses")
    func maps() async throws {
      try await withGuest("one-gib-pages", ["-cpu", "Haswell,check=off"]) { socket, dump in
        for source in [["--qmp", socket], [dump, "--cpu", "Haswell,+pdpe1gb"]] {
          let document = try await json(["map"] + source)
          let ranges = document["ranges"]?.array ?? []
          #expect(ranges.map { $0["start"]?.string } == ["0x0"], "\(document)")
          #expect(ranges.first?["size"]?.number == 0x8_0000_0000)
          #expect(ranges.first?["pageSize"]?.number == 0x4000_0000)
          #expect(document["troubleCounts"]?["writable-and-executable"]?.number == 1)
        }
        let asKVM = try await json(["map", "--qmp", socket, "--as", "kvm-6.1"])
        #expect(asKVM["ranges"]?.array?.isEmpty == true)
        #expect(asKVM["troubleCounts"]?["reserved-bit"]?.number == 32)
        let back = try await json(["map", "--qmp", socket, "--physical", "b8000"])
        #expect(back["linear"]?.array?.compactMap { $0["address"]?.string } == ["0xb8000"])
        let same = try await json(["map", dump, "--diff", dump])
        #expect(same["changes"]?.array?.isEmpty == true)
        let text = try await inquest(["map", "--qmp", socket])
        #expect(text.standardOutput.contains("0000000000000000-00000007ffffffff"), "\(text)")
      }
    }

    @Test("a gdbstub tells the same as QMP")
    func gdbstub() async throws {
      let folder = try Folder()
      let gdb = folder.path("gdb")
      try await withGuest("two-mib-pages", ["-gdb", "unix:\(gdb),server=on,wait=off"]) { socket, _ in
        for command in [["map"], ["walk", "b8000", "--as", "all"]] {
          let ways = try await (json(command + ["--qmp", socket]), json(command + ["--gdb", gdb]))
          for key in ["ranges", "troubleCounts", "levels", "outcome", "opinions", "cr3"] {
            #expect(ways.0[key] == ways.1[key], "\(key)")
          }
          // The guest goes on: it can be asked again.
          #expect(ways.0 == (try await json(command + ["--qmp", socket])))
        }
      }
    }

    @Test("two guests' maps differ where their page sizes do")
    func differences() async throws {
      try await withGuest("one-gib-pages") { _, before in
        try await withGuest("two-mib-pages") { _, after in
          let document = try await json(["map", before, "--diff", after, "--as", "tcg"])
          let change = try #require(document["changes"]?.array?.first, "\(document)")
          #expect(change["before"]?["pageSize"]?.number == 0x4000_0000)
          #expect(change["after"]?["pageSize"]?.number == 0x20_0000)
        }
      }
    }

    @Test("raw memory and folders of pages")
    func rawMemory() async throws {
      // PML4, PDPT and page directory at 1000H, 2000H and 3000H; the last maps 2 MiB at 200000H.
      let pages = [
        Self.page([0: 0x2003]), Self.page([0: 0x3003]), Self.page([1: 0x20_0083]),
      ]
      let folder = try Folder()
      let pagesFolder = try folder.makeFolder("pages")
      for (index, page) in pages.enumerated() { _ = try folder.write(page, to: "pages/0x\(index + 1)000.bin") }
      let raw = try folder.write(pages.joined(), to: "raw")
      for source in [[pagesFolder], ["--memory", "\(raw)@1000"], ["--memory", "\(raw)@0x1000"]] {
        let document = try await json(["walk", "201234", "--cr3", "1000"] + source)
        #expect(document["outcome"]?["physicalAddress"]?.string == "0x201234", "\(document)")
        let map = try await json(["map", "--cr3", "1000"] + source)
        #expect(map["ranges"]?.array?.map { $0["start"]?.string } == ["0x200000"], "\(map)")
      }
    }

    /// A table with these entries.
    private static func page(_ words: [Int: UInt64]) -> [UInt8] {
      (0..<512).flatMap { index in
        let word = words[index] ?? 0
        return (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) }
      }
    }

    @Test("what is missing is named, with what to do")
    func mistakes() async throws {
      let noMemory = try await inquest(["walk", "1000", "-"], standardInput: "EAX=00000000\n".utf8)
      #expect(noMemory.status == 1 && noMemory.standardOutput.isEmpty, "\(noMemory)")
      let noRegisters = try await inquest(["walk", "1000", "--memory", try ExampleGuest("two-mib-pages").path()])
      #expect(noRegisters.status == 1 && noRegisters.standardError.contains("--cr3"), "\(noRegisters)")
      let noSocket = try await inquest(["map", "--qmp", "/nowhere/qmp"])
      #expect(noSocket.status == 1 && noSocket.standardError.contains("/nowhere/qmp"), "\(noSocket)")
      for (arguments, words) in [
        (["walk", "xyz"], "xyz"), (["walk", "1000", "--write", "--fetch"], "--fetch"),
        (["walk", "1000", "--as", "vax"], "vax"),
        (["map", "--as", "all"], "one walker"), (["map", "x", "--diff-after", "1"], "--qmp"),
        (["check"], "nothing to check"), (["check", "--after", "0", "--", "qemu-system-x86_64"], "--after"),
      ] {
        let finished = try await inquest(arguments)
        #expect(finished.status == 2 && finished.standardError.contains(words), "\(finished)")
      }
    }
  }
}
