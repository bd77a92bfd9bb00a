import Testing

extension UnderTCG {
  /// How a kernel was loaded, against what its setup header asks for.
  @Suite("a Linux kernel that cannot start as it was loaded")
  struct LinuxBootTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    private func command(_ bytes: some Sequence<UInt8>, memory: Int) throws -> [String] {
      let path = try folder.write(bytes, to: "kernel")
      return qemu(["-kernel", path, "-m", "\(memory)", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
    }

    @Test("the whole kernel with all its memory runs")
    func runs() async throws {
      let (finished, verdict) = try await run(try command(LinuxLikeKernel().bytes, memory: 32))
      #expect(finished.status == 0x21, "\(finished)")
      #expect(verdict.outcome == "ended")
      #expect(verdict.cause == nil)
    }

    @Test("less memory than init_size asks for: proven, with the size that cures it, also from the case elsewhere")
    func withoutRoom() async throws {
      let place = folder.path("case")
      let (finished, verdict) = try await run(
        try command(LinuxLikeKernel().bytes, memory: 31), options: ["--save", place])
      #expect(finished.status == 3, "\(finished)")
      #expect(verdict.cause?.id == "boot.kernel-without-room")
      #expect(verdict.cause?.confidence == "proven")
      #expect(verdict.remedies.first?.change == "-m 64")
      #expect(verdict.fault?.vector == 14)
      // The kernel's file has gone.
      _ = try folder.write([], to: "kernel")
      let (_, again) = try await examine([place])
      #expect(again.cause?.id == "boot.kernel-without-room")
      #expect(again.cause?.confidence == "proven")
    }

    @Test("a file that is cut short: likely, whatever the instruction that met it", arguments: [0x40, 0x4000])
    func cutShort(_ missing: Int) async throws {
      let (finished, verdict) = try await run(try command(LinuxLikeKernel().bytes.dropLast(missing), memory: 128))
      #expect(finished.status == 3, "\(finished)")
      #expect(verdict.cause?.id == "boot.kernel-cut-short")
      #expect(verdict.cause?.confidence == "likely")
    }
  }
}
