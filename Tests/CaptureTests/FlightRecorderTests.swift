import Foundation
import Glibc
import KVM
import QEMU
import Testing
import X86

@testable import Capture

/// Rings as the kernel writes them, newest record first.
@Suite struct PerfRingContentsTests {
  /// A PERF_RECORD_SAMPLE with pid, tid, time, cpu and raw data.
  private func sample(time: UInt8, thread: UInt8, raw: [UInt8]) -> [UInt8] {
    let size = UInt8(36 + raw.count)
    return [9, 0, 0, 0, 0, 0, size, 0] + [1, 0, 0, 0, thread, 0, 0, 0] + [time, 0, 0, 0, 0, 0, 0, 0]
      + [3, 0, 0, 0, 0, 0, 0, 0] + [UInt8(raw.count), 0, 0, 0] + raw
  }

  private let raw: [UInt8] = [85, 0, 1, 2]

  @Test func `samples come out oldest first`() {
    let ring = sample(time: 2, thread: 7, raw: raw) + sample(time: 1, thread: 7, raw: raw)
    let samples = PerfSample.all(in: ring)
    #expect(samples.map(\.time) == [1, 2])
    #expect(samples.map(\.eventID) == [85, 85])
    #expect(samples.map(\.threadID) == [7, 7])
    #expect(samples.map { Array($0.payload) } == [raw, raw])
  }

  @Test func `where a ring is one thread's, its records need not say so`() {
    let record = sample(time: 2, thread: 7, raw: raw)
    let short = record[..<6] + [record[6] - 8, 0] + record[16...]
    let samples = PerfSample.all(in: Array(short), of: 9)
    #expect(samples.map(\.time) == [2])
    #expect(samples.map(\.cpu) == [3])
    #expect(samples.map(\.threadID) == [9])
    #expect(samples.map { Array($0.payload) } == [raw])
    for length in 0..<short.count {
      #expect(
        PerfSample.all(in: short.prefix(6) + [UInt8(length), 0] + short.dropFirst(8).prefix(max(length - 8, 0)), of: 9)
          .isEmpty)
    }
  }

  private func extent(of ring: [UInt8], first limit: Int = .max) -> (size: Int, count: Int, isCut: Bool) {
    PerfRecordHeaders(byteCount: ring.count) { offset in
      ring[offset..<offset + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }.extent(ofFirst: limit)
  }

  @Test func `a ring that is not full ends at an empty header`() {
    let records = sample(time: 2, thread: 7, raw: raw)
    #expect(extent(of: records + [UInt8](repeating: 0, count: 100)) == (records.count, 1, false))
  }

  @Test(arguments: [0, 8, 32]) func `a record that was overwritten is left out`(left: Int) {
    let whole = sample(time: 2, thread: 7, raw: raw)
    #expect(extent(of: whole + whole.prefix(left)) == (whole.count, 1, true))
  }

  @Test func `no more records than asked for`() {
    let records = (0..<3).flatMap { sample(time: $0, thread: 7, raw: raw) }
    #expect(extent(of: records, first: 2) == (records.count / 3 * 2, 2, true))
  }

  @Test(arguments: [(total: 32 << 20, vcpus: 1, others: 3), (1 << 20, 4, 4), (0, 1, 1), (1 << 30, 16, 0)])
  func `rings keep to their memory`(total: Int, vcpus: Int, others: Int) {
    let memory = RecorderMemory(total: total, vcpus: vcpus, others: others)
    let page = 4096
    #expect(vcpus * memory.vcpuRing + others * memory.otherRing <= max(total, (vcpus + others) * page))
    #expect(memory.vcpuRing.nonzeroBitCount == 1 && memory.otherRing.nonzeroBitCount == 1)
    #expect(vcpus * memory.vcpuRing >= total / 4)
  }

  @Test(
    arguments: [
      [], [9], [9, 0, 0, 0, 0, 0, 7, 0], [9, 0, 0, 0, 0, 0, 0xFF, 0xFF], [9, 0, 0, 0, 0, 0, 8, 0],
      [9, 0, 0, 0, 0, 0, 36, 0] + [UInt8](repeating: 0xFF, count: 28),
    ] as [[UInt8]]) func `records that claim too much give nothing`(bytes: [UInt8])
  {
    #expect(PerfSample.all(in: bytes).isEmpty)
  }

  @Test func `a loss is marked at the sample behind it, and counted`() {
    // A PERF_RECORD_LOST with id and count; the newest record comes first.
    let lost: [UInt8] =
      [2, 0, 0, 0, 0, 0, 48, 0] + [1, 0, 0, 0, 0, 0, 0, 0] + [5, 1, 0, 0, 0, 0, 0, 0]
      + [UInt8](repeating: 0, count: 24)
    let ring =
      sample(time: 3, thread: 7, raw: raw) + lost + sample(time: 2, thread: 7, raw: raw)
      + sample(time: 1, thread: 7, raw: raw)
    let samples = PerfSample.all(in: ring)
    #expect(samples.map(\.time) == [1, 2, 3])
    #expect(samples.map(\.followsLoss) == [false, true, false])
    #expect(PerfSample.lostEvents(in: ring) == 0x105)
  }

  @Test func `records of other kinds are passed over`() {
    let lost: [UInt8] = [2, 0, 0, 0, 0, 0, 40, 0] + [UInt8](repeating: 0, count: 32)
    #expect(PerfSample.all(in: lost + sample(time: 1, thread: 7, raw: raw)).count == 1)
  }
}

@Suite struct RecordingRefusalTests {
  @Test(arguments: [
    (RecordingRefusal.tracefsNotMounted(paranoid: nil), "mount -t tracefs", "perf_event_paranoid", false),
    (.tracefsNotMounted(paranoid: 2), "mount -t tracefs", "perf_event_paranoid=-1", true),
    (.tracefsUnreadable(paranoid: 2), "remount,mode=750,gid=$(id -g)", "perf_event_paranoid=-1", true),
    (.perfForbidden(paranoid: 2), "sysctl", "perf_event_paranoid=-1", true),
  ]) func `a refusal names the command that clears it`(
    refusal: RecordingRefusal, command: String, other: String, hasOther: Bool
  ) throws {
    let remedy = try #require(refusal.remedy)
    #expect(remedy.contains(command))
    #expect(remedy.contains(other) == hasOther)
    #expect(!refusal.lack.contains("\n"))
  }
}

/// What this machine's KVM can do, or why these tests are skipped.
enum HostAbility {
  static let hasKVM: Bool = {
    let device = HostKVM.current().device
    if device != .usable { print("Skipped: /dev/kvm is \(device)") }
    return device == .usable
  }()

  static let canRecord: Bool = {
    guard hasKVM else { return false }
    do throws(RecordingRefusal) {
      _ = try FlightRecorder(process: getpid(), vcpuThreads: [], memory: 1 << 20, choice: .least)
      return true
    } catch {
      print("Skipped: \(error.lack)")
      return false
    }
  }()
}

extension GuestRunTests {
  @Test(.enabled(if: HostAbility.hasKVM, "needs /dev/kvm")) func `KVM's offer is read with its sources`() throws {
    let host = HostKVM.current()
    let cpuid = try #require(host.supportedCPUID)
    #expect(cpuid.value[leaf: 0] != nil)
    #expect(cpuid.value[leaf: 0x8000_0001] != nil)
    #expect(cpuid.source.contains("/dev/kvm"))
    #expect(host.kernelRelease?.source == "/proc/sys/kernel/osrelease")
    if host.vendorModule?.value == "kvm_pvm" { #expect(host.usesTwoDimensionalPaging?.value == false) }
  }

  @Test(.enabled(if: HostAbility.canRecord, "needs KVM's tracepoints"))
  func `the end of a guest under KVM is recorded`() throws {
    let recording = try recordKernel(memory: 4 << 20)
    #expect(!recording.isCut)
    #expect(recording.tracepoints.contains { $0.name == "kvm_userspace_exit" })
    let records = recording.records()
    #expect(records.count == recording.samples.count)
    #expect(zip(records, records.dropFirst()).allSatisfy { ($0.time ?? 0) <= ($1.time ?? 0) })
    // The guest's last act: the port write that ends QEMU.
    let lastExit = records.last { if case .userspaceExit = $0.event { true } else { false } }
    #expect(
      lastExit?.event == .userspaceExit(reason: .io, errno: nil)
        || lastExit?.event == .userspaceExit(reason: .io, errno: 0))
    let writes = records.compactMap { if case .portIO(true, let port, _, _, _) = $0.event { port } else { nil } }
    #expect(writes.last == 0xF4)
    let undecodable = records.filter { if case .undecodable = $0.event { true } else { false } }
    #expect(undecodable.isEmpty)
  }

  @Test(.enabled(if: HostAbility.canRecord, "needs KVM's tracepoints")) func `a small ring keeps the end`() throws {
    let recording = try recordKernel(memory: 1 << 12)
    #expect(recording.isCut)
    let writes = recording.records().compactMap { record in
      if case .portIO(true, let port, _, _, _) = record.event { port } else { nil }
    }
    #expect(writes.last == 0xF4)
  }

  private func recordKernel(memory: Int) throws -> FlightRecording {
    try withKernel { file in
      let line = QEMUCommandLine(
        program: "qemu-system-x86_64",
        arguments: [
          "-nodefaults", "-display", "none", "-machine", "microvm", "-accel", "kvm", "-kernel", file,
          "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        ])
      var options = self.options()
      options.recorderMemoryPerCPU = memory
      let outcome = try GuestRun(line, options: options).run { _ in .end }
      #expect(outcome.ending == .exited(status: 85))
      guard case .recorded(let recording) = outcome.scene.recording else { throw NotRecorded() }
      return recording
    }
  }

  private struct NotRecorded: Error {}
}
