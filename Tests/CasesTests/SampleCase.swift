import Capture
import FileBuilding
import Foundation
import GuestMemory
import Investigation
import KVM
import QEMU
import SystemPackage
import X86

@testable import Cases

/// A case with something of everything, of a guest that never was.
struct SampleCase {
  let folder = FilePath(NSTemporaryDirectory()).appending("inquest-test-\(UUID().uuidString)")
  var path: FilePath { folder.appending("case") }
  var record: Case

  static let map = MemoryMap(ranges: [
    .init(first: PhysicalAddress(0), last: PhysicalAddress(0x9FFFF), kind: .ram, name: "pc.ram", offset: 0),
    .init(
      first: PhysicalAddress(0xA0000), last: PhysicalAddress(0xBFFFF), kind: .device, name: "vga-lowmem", offset: 0),
    .init(
      first: PhysicalAddress(0xE0000), last: PhysicalAddress(0xFFFFF), kind: .rom, name: "pc.bios", offset: 0x20000),
  ])

  init() throws {
    try FileManager.default.createDirectory(atPath: folder.string, withIntermediateDirectories: false)
    var memory = SparseMemory()
    memory.insert(page: [UInt8](repeating: 0xAB, count: 4096), at: PhysicalAddress(0x1000))
    memory.insert(page: [UInt8](repeating: 0, count: 4096), at: PhysicalAddress(0x2000))
    memory.insert(page: [UInt8](repeating: 0xEF, count: 4096), at: PhysicalAddress(0xF0000))
    var processor = GuestIdentity.Processor(
      cpu: VirtualCPU(index: 0, threadID: 42, path: "/machine/unattached/device[0]"))
    processor.features = [.pdpe1gb: false, .nx: true]
    processor.physicalAddressBits = 40
    processor.vendor = "AuthenticAMD"
    var host = HostFacts()
    host.kernelRelease = Sourced("6.1.0", .host("/proc/sys/kernel/osrelease"))
    host.vendorModule = Sourced("kvm_intel", .host("/sys/module/kvm_intel"))
    host.processorIsAMD = Sourced(true, .host("/proc/cpuinfo"))
    host.ignoresUnknownMSRs = Sourced(false, .host("/sys/module/kvm/parameters/ignore_msrs"))
    host.offers = Sourced([.pdpe1gb: true], .assumed("TCG of QEMU 7.2"))
    var scene = GuestScene(
      ending: .reset, moment: .now,
      identity: GuestIdentity(
        version: QEMUVersion(major: 7, minor: 2, micro: 22, package: "Debian"), usesKVM: false, processors: [processor]),
      registers: "EAX=00000000\r\n", log: Array("Triple fault\n".utf8), logsTripleFaults: true,
      interruptLog: Array("Servicing hardware INT=0x20\n".utf8),
      samples: [
        GuestSample(
          registers: "EAX=00000001\r\n", interruptControllers: "pic0: irr=01\r\n", localAPICs: "ISR\t 48 \r\n")
      ],
      standardError: [0xFF, 0x41, 0x0A], textScreen: ["SeaBIOS", "", "  No bootable device."],
      memory: CapturedMemory(map: Self.map, keptIn: memory),
      recording: .recorded(Self.recording), shutdownCause: .guestReset)
    scene.secondRun = SecondRunRegisters(text: "EAX=00000002\r\n", wentOn: true)
    record = Case(
      inquestVersion: "0.1", created: "2026-11-28T08:26:04Z",
      commandLine: QEMUCommandLine(
        program: "/home/alice/bin/qemu-system-x86_64", arguments: ["-cpu", "Haswell", "-kernel", "/home/alice/a b.elf"]),
      scene: scene, host: host, kvmParameters: ["kvm": ["ignore_msrs": "N"]], processorVendor: "AuthenticAMD",
      memory: .read,
      image: Case.Image(
        name: "a b.elf", identity: try Self.identity,
        contents: Array("ELF /home/alice/main.c".utf8)),
      verdict: "{}\n")
  }

  private static var identity: ImageIdentity {
    get throws {
      try JSONDecoder().decode(ImageIdentity.self, from: Data(#"{"size": 22, "crc32": 7, "buildID": "ab12"}"#.utf8))
    }
  }

  static let recording: FlightRecording = {
    let format = """
      name: kvm_pio
      ID: 1234
      format:
      \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
      \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
      \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
      \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

      print fmt: ""

      """
    var samples = (0..<3).map { index in
      PerfSample(
        time: 5_000_000_000 + UInt64(index) * 700_000_000, cpu: index % 2, threadID: 42,
        payload: [0xD2, 4, 0, 0, 42, 0, 0, 0, UInt8(index), 0, 0, 0][...])
    }
    samples[2].followsLoss = true
    var recording = FlightRecording(
      tracepoints: [Tracepoint(system: "kvm", name: "kvm_pio", id: 1234, format: format, filter: nil)],
      samples: samples, threadNames: [42: "CPU 0/KVM"], isCut: false,
      account: .init(
        choice: EventChoice([], reason: "of a test"), shortage: nil, met: 8, dropped: 5, memory: 4096))
    recording.account.hasUnplacedLosses = true
    return recording
  }()

  /// Writes the case with the pages that it has.
  func write(redaction: Redaction? = nil) throws {
    let pages = [0x1000, 0x2000, 0xF0000].map { PhysicalAddress($0) }
    try record.write(to: path, pages: pages, redaction: redaction)
  }

  func file(_ file: CaseFormat.File) -> FilePath { path.appending(file.rawValue) }

  func remove() { try? FileManager.default.removeItem(atPath: folder.string) }
}
