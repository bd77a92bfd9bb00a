import Foundation
import QEMU
import SeededRandom
import SystemPackage
import X86

@testable import Capture

/// A QEMU under TCG whose guest does not run unless it is told to, with its RAM mapped here.
///
/// It ends with this object, which must not outlive the thread that made it.
final class TCGMachine {
  /// What QEMU would not do.
  struct Refusal: Error, CustomStringConvertible {
    var description: String
  }

  let ram: GuestRAM
  let monitor: QMPConnection
  let walker: Walker
  /// What the guest's processor announces.
  let cpuid: CPUID
  /// The whole physical memory, with ROM and what is no memory.
  let memory: CapturedMemory
  private let folder: URL
  private let process: ChildProcess
  private let gdb: GDBConnection
  private let registers: GDBTargetDescription

  /// - Parameters:
  ///   - cpu: Of `-cpu`.
  ///   - pages: How many pages of RAM there are; below 640 KiB and above 1 MiB they are at the same addresses in `ram`.
  init(cpu: String, pages: Int) throws {
    guard let ram = GuestRAM(pages: pages) else { throw Refusal(description: "no RAM") }
    self.ram = ram
    folder = FileManager.default.temporaryDirectory.appending(path: "inquest-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    let sockets = [("-qmp", "qmp"), ("-gdb", "gdb")].flatMap { [folder] option, name in
      [option, "unix:\(folder.path)/\(name),server=on,wait=off"]
    }
    let backend = "memory-backend-file,id=ram0,size=\(ram.size),share=on,mem-path=/proc/self/fd/\(ram.descriptor)"
    let machine = ["-machine", "pc,memory-backend=ram0", "-m", "\(ram.size >> 20)", "-object", backend]
    process = try ChildProcess(
      program: "qemu-system-x86_64",
      arguments: [
        "-nodefaults", "-display", "none", "-accel", "tcg", "-S", "-cpu", cpu, "-action",
        "reboot=shutdown,shutdown=pause",
      ] + machine + sockets,
      standardError: .standardError, inheriting: [FileDescriptor(rawValue: ram.descriptor)])
    while !process.hasEnded(), !FileManager.default.fileExists(atPath: folder.appending(path: "gdb").path) {
      usleep(2000)
    }
    monitor = try QMPConnection(.unix(folder.appending(path: "qmp").path), within: .seconds(30))
    let connection = GDBConnection(
      try SocketAddress.unix(folder.appending(path: "gdb").path).connect(until: .now + .seconds(30)))
    try connection.negotiate(within: .seconds(30))
    gdb = connection
    registers = try GDBTargetDescription { file throws(GDBTargetDescriptionError) in
      guard let text = try? connection.file(file) else { throw .unreadableFile(file) }
      return text
    }
    let identity = try monitor.identity()
    walker = .tcg(SoftwareVersion(identity.version.major, identity.version.minor))
    cpuid = CPUID(identity)
    let mapping = try RAMMapping(FileDescriptor(rawValue: ram.descriptor), size: ram.size)
    let (map, reader) = (try monitor.monitor("info mtree -f"), monitor)
    memory = CapturedMemory(map: MemoryMap(monitorText: map), reader: reader) { range in
      range.name == "ram0" ? RAMSlice(mapping: mapping, offset: range.offset) : nil
    }
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  /// Sets a register of the processor; the guest must not run.
  func set(_ name: String, _ value: UInt64) throws {
    guard let register = registers[name] else { throw Refusal(description: "no register \(name)") }
    try gdb.order(.writeRegister(register.number, register.bytes(of: value)))
  }

  /// Sets the registers that paging depends on; long mode begins with CR0.PG, as on a processor.
  func set(_ processor: RandomProcessor) throws {
    try set("cr0", CR0.protectionEnable.rawValue)
    try set("efer", processor.efer.subtracting(.longModeActive).rawValue)
    try set("cr4", processor.cr4.rawValue)
    try set("cr3", processor.cr3)
    try set("cr0", processor.cr0.rawValue)
  }

  /// Whether QEMU has the registers that it was given: it leaves out bits of CR4 that its CPUID lacks.
  func agrees(with processor: RandomProcessor) throws -> Bool {
    let text = try monitor.monitor("info registers")
    guard let dump = RegisterDump.all(in: text).first else { return false }
    return dump[.cr0] == processor.cr0.rawValue && dump[.cr3] == processor.cr3 && dump[.cr4] == processor.cr4.rawValue
      && dump[.efer] == processor.efer.rawValue
  }

  func run() throws { _ = try monitor.execute(.cont) }

  func stop() throws { _ = try monitor.execute(.stop) }
}

extension CPUID {
  /// The feature words of the first processor, with its address width; QEMU's words are all that TCG looks at.
  init(_ identity: GuestIdentity) {
    self.init(entries: [], isComplete: true)
    let features = identity.processors.first?.features?.features ?? FeatureSet()
    for case .cpuid(let leaf, let subleaf, let register) in features.nonemptyWords {
      let bits = UInt32(truncatingIfNeeded: features[.cpuid(leaf, subleaf, register)])
      let index = entries.firstIndex { $0.leaf == leaf && $0.subleaf == subleaf }
      var entry = index.map { entries[$0] } ?? Entry(leaf: leaf, subleaf: subleaf, eax: 0, ebx: 0, ecx: 0, edx: 0)
      switch register {
      case .eax: entry.eax = bits
      case .ebx: entry.ebx = bits
      case .ecx: entry.ecx = bits
      case .edx: entry.edx = bits
      }
      if let index { entries[index] = entry } else { entries.append(entry) }
    }
    let width = UInt32(identity.physicalAddressBits ?? 40)
    entries.removeAll { $0.leaf == 0x8000_0008 }
    entries.append(Entry(leaf: 0x8000_0008, eax: width, ebx: 0, ecx: 0, edx: 0))
  }
}
