// Walking page tables: inquest's library beside the monitor of the QEMU that runs the guest, in the same run.
//
//   paging-benchmark MONITOR-SOCKET CR3 FOLDER
//
// MONITOR-SOCKET is the UNIX socket of the human monitor of a QEMU that runs the guest million-pages, CR3 the guest's root in
// hexadecimal, FOLDER where a copy of its memory may be made.

import Files
import Foundation
import Glibc
import GuestMemory
import SystemPackage
import X86

/// How often each thing is done; the best time counts.
let rounds = 5

func best(_ body: () throws -> Void) rethrows -> Double {
  var best = Duration.seconds(1_000_000)
  for _ in 0..<rounds { best = min(best, try ContinuousClock().measure(body)) }
  let (seconds, attoseconds) = best.components
  return Double(seconds) + Double(attoseconds) * 1e-18
}

func row(_ name: String, _ seconds: Double, _ note: String = "") {
  let time = seconds >= 1e-3 ? String(format: "%9.3f ms", seconds * 1e3) : String(format: "%9.1f ns", seconds * 1e9)
  print("  " + name.padding(toLength: 44, withPad: " ", startingAt: 0) + time + "  " + note)
}

/// Counts what a scan shows.
struct Count: AddressSpaceVisitor {
  var ranges = 0
  var pages: UInt64 = 0

  mutating func visit(_ range: MappedRange) {
    ranges += 1
    pages += range.size / range.pageSize
  }

  mutating func visit(_ finding: TableFinding) {}
}

/// Translates addresses in no order, in the first part of the second 512 GiB, which the guest of a million pages maps.
///
/// - Parameter size: Of the part, in bytes; at most 4 GiB.
func walkTime(_ paging: Paging, in memory: some PhysicalMemory, over size: UInt64) -> Double {
  let count = 1_000_000
  var arrived = 0
  let seconds = best {
    arrived = 0
    var state: UInt64 = 1
    for _ in 0..<count {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let address = LinearAddress(0x80_0000_0000 | (state >> 32) % size)
      let walk = paging.walk(address, for: PageAccess(.read, by: .supervisor), in: memory)
      if walk.outcome.physicalAddress != nil { arrived += 1 }
    }
  }
  precondition(arrived == count, "not every address is mapped: is this the guest million-pages?")
  return seconds / Double(count)
}

/// QEMU's human monitor.
struct Monitor {
  private let socket: FileDescriptor

  init?(at path: String) {
    socket = FileDescriptor(rawValue: Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
    // The path is shorter than the field, and a zero follows it.
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    let descriptor = socket.rawValue
    let connected = unsafe withUnsafePointer(to: &address) { address in
      unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe connect(descriptor, address, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard connected == 0 else { return nil }
    awaitPrompt()
  }

  /// Gives a command, and throws away what it prints.
  func give(_ command: String) {
    _ = try? socket.writeAll(Array("\(command)\n".utf8))
    awaitPrompt()
  }

  /// Reads until the monitor waits for a command. It echoes what it is given with escape sequences, but no prompt.
  private func awaitPrompt() {
    let prompt = Array("(qemu) ".utf8)
    var tail: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while tail != prompt {
      guard let count = unsafe try? buffer.withUnsafeMutableBytes({ unsafe try socket.read(into: $0) }), count > 0
      else {
        return
      }
      tail = (tail + buffer[..<count].suffix(prompt.count)).suffix(prompt.count)
    }
  }
}

func run() throws {
  let arguments = Array(CommandLine.arguments.dropFirst())
  guard arguments.count == 3, let cr3 = UInt64(arguments[1], radix: 16), let monitor = Monitor(at: arguments[0]) else {
    print("usage: paging-benchmark MONITOR-SOCKET CR3 FOLDER")
    exit(2)
  }
  let path = "\(arguments[2])/ram"
  monitor.give("pmemsave 0 0x8000000 \"\(path)\"")
  let memory = try FileMemory([MemoryImage(FileInput(FilePath(path)).memory, at: PhysicalAddress(0))])
  let paging = Paging(
    mode: .fourLevel, cr3: cr3,
    rules: PagingRules(
      hasGiBPages: true, maximumPhysicalAddressBits: 40, executeDisableEnabled: true, isAMD: false,
      fourMiBPageAddressBits: 40), protection: PageProtection(cr0: .writeProtect, cr4: [], rflags: []))
  row("one walk of four levels, in 256 MiB", walkTime(paging, in: memory, over: 256 << 20), "target: under 60 ns")
  row("the same all over 4 GiB", walkTime(paging, in: memory, over: 4 << 30), "8 MiB of tables: cache misses")
  var count = Count()
  let scan = best {
    count = Count()
    _ = paging.scan(in: memory, visitor: &count)
  }
  row("scan of \(count.pages) pages in \(count.ranges) ranges", scan, "target: under 20 ms")
  for command in ["info tlb", "info mem"] {
    let time = best { monitor.give(command) }
    row("QEMU's monitor, \(command)", time, String(format: "%.1f times the scan", time / scan))
  }
}

try run()
