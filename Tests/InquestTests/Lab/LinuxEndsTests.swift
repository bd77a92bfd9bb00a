import Foundation
import Testing

/// How a Linux kernel ends under TCG: the laboratory's own, run as a user's guest.
@Suite("in the lab: how Linux ends", .serialized, .enabled("make lab-test runs it") { Laboratory.isWanted })
struct InLabLinuxEndsTests {
  private func command(_ append: String, cpu: String = "max", memory: Int = 512, initramfs: String? = nil) throws
    -> [String]
  {
    let folder = URL(filePath: #filePath).appending(path: "../../../../.build/lab/kernel/boot").standardizedFileURL
    let kernel = try #require(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).first { $0.hasPrefix("vmlinuz") })
    return [
      "qemu-system-x86_64", "-accel", "tcg", "-cpu", cpu, "-m", "\(memory)", "-display", "none", "-serial", "stdio",
      "-no-reboot", "-kernel", folder.appending(path: kernel).path, "-append", "console=ttyS0 \(append)",
    ] + (initramfs.map { ["-initrd", $0] } ?? [])
  }

  @Test("a panic and the reset after it are no fault of the processor; the message is found")
  func panic() async throws {
    let (finished, verdict) = try await run(try command("panic=-1"))
    #expect(finished.standardOutput.contains("Kernel panic"))
    #expect(finished.status == 3, "\(finished)")
    #expect(verdict.outcome == "died", "\(finished)")
    #expect(verdict.cause?.id == "guest.panic")
    #expect(verdict.evidence.contains { $0.text.contains("log says before that") }, "\(verdict)")
    #expect(verdict.fault == nil)
    #expect(verdict.warnings.isEmpty)
    #expect(verdict.cause?.summary.contains("\"VFS: Unable to mount root fs on unknown-block(0,0)\"") == true)
  }

  @Test("a clean power-off is an end")
  func powerOff() async throws {
    let folder = try Folder()
    let make = """
      cd \(folder.path) && mkdir -p root/bin && cp "$(command -v busybox)" root/bin/ &&
      printf '#!/bin/busybox sh\\n/bin/busybox poweroff -f\\n' > root/init && chmod +x root/init &&
      (cd root && find . | cpio -o -H newc) > initramfs
      """
    let made = try await Command("bash", ["-c", make]).run()
    #expect(made.status == 0, "\(made)")
    let (finished, verdict) = try await run(try command("panic=-1", initramfs: "\(folder.path)/initramfs"))
    #expect(finished.status == 0, "\(finished)")
    #expect(verdict.outcome == "ended")
    #expect(verdict.ending.contains("turned itself off"))
    #expect(verdict.cause == nil)
  }

  @Test("a kernel that is cut off in the middle is not said to have died")
  func cutOff() async throws {
    let (finished, verdict) = try await run(try command("panic=-1"), options: ["--timeout", "2"])
    #expect(finished.status == 4, "\(finished)")
    #expect(verdict.outcome == "undetermined")
    #expect(verdict.cause == nil)
  }

  @Test("a kernel of 64 bits on a processor without 64-bit mode says so on the screen only, and halts")
  func anotherProcessor() async throws {
    let (finished, verdict) = try await run(try command("", cpu: "qemu32"), options: ["--timeout", "8"])
    #expect(verdict.outcome == "hung", "\(finished)")
    #expect(verdict.cause?.id == "boot.kernel-for-another-processor")
    #expect(verdict.observations.contains { $0.text.contains("This kernel requires an x86-64 CPU") }, "\(verdict)")
  }

  @Test("a kernel in less memory than its setup header asks for")
  func withoutRoom() async throws {
    let (finished, verdict) = try await run(try command("panic=-1", memory: 48), options: ["--timeout", "8"])
    #expect(finished.status == 3, "\(finished)")
    #expect(verdict.cause?.id == "boot.kernel-without-room")
    #expect(verdict.cause?.confidence == "proven")
  }

  @Test("a kernel that waits after its panic does not hang for an unknown reason")
  func waits() async throws {
    let (_, verdict) = try await run(try command("panic=0"), options: ["--timeout", "12"])
    #expect(verdict.outcome == "hung")
    #expect(verdict.cause?.id == "guest.panic")
    #expect(verdict.cause?.summary.contains("VFS: Unable to mount root fs") == true)
  }
}
