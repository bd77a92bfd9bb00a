import Glibc
import QEMU
import SystemPackage
import Testing
import X86

@testable import Capture

/// What answers in QEMU's place and should not be trusted. Its answers lie in the socket before they are asked for.
@Suite struct HostileQEMUTests {
  /// A gdbstub that has said `bytes`; its end of the socket, which is to be kept open.
  private func stub(_ bytes: [UInt8]) throws -> (GDBConnection, OwnedDescriptor) {
    let pair = try makeSocketPair()
    #expect(pair.theirs.descriptor.sendWhole(bytes))
    return (GDBConnection(pair.ours), pair.theirs)
  }

  private func packets(_ payloads: String...) -> [UInt8] {
    payloads.flatMap { [UInt8(ascii: "+")] + GDBPacket.framed(Array($0.utf8)) }
  }

  @Test(
    arguments: [
      ("+$PacketSize=1000#zz", .silent), ("+$OK#9a", .garbled), ("+$PacketSize=0#60", .garbled), ("{}", .garbled),
      ("++++++++++", .silent), ("----------", .garbled), ("+$E01#a6", .garbled), ("", .silent), ("+$#00", .garbled),
    ] as [(String, GDBRefusal)]) func `negotiations that fail`(said: String, refusal: GDBRefusal) throws
  {
    let (connection, end) = try stub(Array(said.utf8))
    #expect(throws: refusal) { try connection.negotiate(within: .milliseconds(50)) }
    withExtendedLifetime(end) {}
  }

  @Test func `a stub that hangs up`() throws {
    let pair = try makeSocketPair()
    let connection = GDBConnection(pair.ours)
    try pair.theirs.descriptor.writeAll(packets("PacketSize=1000"))
    Glibc.shutdown(pair.theirs.descriptor.rawValue, Int32(SHUT_WR))
    try connection.negotiate(within: .seconds(5))
    #expect(throws: GDBRefusal.gone) { try connection.threads() }
  }

  @Test func `a packet that arrives damaged is asked for again, but not for ever`() throws {
    let sound = packets("PacketSize=1000")
    let damaged = Array("+$PacketSize=1000#00".utf8)
    for (times, isRead) in [(1, true), (3, true), (4, false)] {
      let (connection, end) = try stub((0..<times).flatMap { _ in damaged } + sound)
      if isRead {
        try connection.negotiate(within: .seconds(5))
        #expect(connection.packetSize == 0x1000)
      } else {
        #expect(throws: GDBRefusal.garbled) { try connection.negotiate(within: .seconds(5)) }
      }
      withExtendedLifetime(end) {}
    }
  }

  @Test func `a stop that is told unasked is no answer`() throws {
    let (connection, end) = try stub(packets("T02thread:01;", "PacketSize=1000", "T05thread:01;"))
    try connection.negotiate(within: .seconds(5))
    #expect(connection.announcedStop)
    #expect(try connection.perform(.stopReason).text == "T05thread:01;")
    withExtendedLifetime(end) {}
  }

  @Test func `memory that is too long, too short or none`() throws {
    let (connection, end) = try stub(packets("PacketSize=1000", "00", "000000000000", "zz", "E14", "", "0102"))
    try connection.negotiate(within: .seconds(5))
    func memory() throws -> [UInt8] { try connection.memory(at: PhysicalAddress(0), count: 2) }
    for refusal in [GDBRefusal.garbled, .garbled, .garbled, .refused(0x14), .unknownRequest] {
      #expect(throws: refusal) { try memory() }
    }
    #expect(try memory() == [1, 2])
    withExtendedLifetime(end) {}
  }

  @Test func `lists without end`() throws {
    let threads = "m" + (1...300).map(String.init).joined(separator: ",")
    let (connection, end) = try stub(packets("PacketSize=1000") + (0..<20).flatMap { _ in packets(threads) })
    try connection.negotiate(within: .seconds(5))
    #expect(throws: GDBRefusal.garbled) { try connection.threads() }
    withExtendedLifetime(end) {}
  }

  @Test(arguments: ["m", "mabc", "x", "labc"]) func `files`(part: String) throws {
    let (connection, end) = try stub(packets("PacketSize=1000", part, "m"))
    try connection.negotiate(within: .seconds(5))
    if part == "labc" {
      #expect(try connection.file("target.xml") == Array("abc".utf8))
    } else {
      #expect(throws: GDBRefusal.garbled) { try connection.file("target.xml") }
    }
    withExtendedLifetime(end) {}
  }

  @Test func `what a monitor prints comes in packets until OK`() throws {
    let said = packets("PacketSize=1000", "O372e", "O320d0a", "OK", "O41", "E01", "OK")
    let (connection, end) = try stub(said)
    try connection.negotiate(within: .seconds(5))
    #expect(try connection.monitor("info version") == "7.2\r\n")
    #expect(throws: GDBRefusal.refused(1)) { try connection.monitor("info version") }
    #expect(try connection.monitor("stop") == "")
    withExtendedLifetime(end) {}
  }

  // MARK: What the monitor says

  private static let bios = MemoryMap.Range(
    first: PhysicalAddress(0xFFFC_0000), last: PhysicalAddress(0xFFFF_FFFF), kind: .rom, name: "pc.bios", offset: 0)

  @Test(
    arguments: [
      ("Host virtual address for 0xfffc0000 (pc.bios) is 0x7f070e400000\r\n", 0x7F07_0E40_0000),
      ("Host virtual address for 0xfffc0000 (pc.ram) is 0x7f070e400000", nil),
      ("Memory at address 0x0 is not RAM", nil),
      ("Host virtual address for 0xfffc0000 (pc.bios) is 0x", nil), ("", nil),
      ("Host virtual address for 0xfffc0000 (pc.bios) is 0xfffffffffffffffff", nil),
    ] as [(String, UInt64?)]) func `where QEMU has memory`(text: String, address: UInt64?)
  {
    #expect(HostMemory.hostAddress(in: text, of: Self.bios) == address)
  }

  @Test func `lines of a process's mappings`() throws {
    let line = "7fb8a7fff000-7fb8abfff000 rw-s 00001000 00:01 1046                       /memfd:a b (deleted)"
    let mapping = try #require(ProcessMapping(line[...]))
    #expect(mapping.start == 0x7FB8_A7FF_F000 && mapping.end == 0x7FB8_ABFF_F000)
    #expect(mapping.isReadable && mapping.isShared)
    #expect(mapping.offset == 0x1000)
    #expect(mapping.file == FileIdentity(device: 1, inode: 1046))
    #expect(ProcessMapping("7fb8a7fff000-7fb8abfff000 rw-p 00000000 00:00 0 "[...])?.file == nil)
    for bad in ["", "1-", "2-1 rw-p 0 0:0 0", "1-2 rw 0 0:0 0", "1-2 rw-p 0 0 0", "x-y rw-p 0 0:0 0", "1-2 rw-p 0 0:0"]
    {
      #expect(ProcessMapping(bad[...]) == nil, "\(bad)")
    }
  }

  /// Nothing that QEMU says of its memory leads outside what is there.
  @Test func `a page that is not all in the map is not read`() {
    let map = MemoryMap(ranges: [
      MemoryMap.Range(
        first: PhysicalAddress(0x800), last: PhysicalAddress(0x17FF), kind: .ram, name: "ram", offset: 0),
      MemoryMap.Range(
        first: PhysicalAddress(.max - 0xFFF), last: PhysicalAddress(.max), kind: .ram, name: "top", offset: .max),
    ])
    struct Ones: PageReader {
      func page(at address: UInt64) -> [UInt8]? { [UInt8](repeating: 1, count: address == .max - 0xFFF ? 4096 : 10) }
    }
    let memory = CapturedMemory(map: map, reader: Ones()) { _ in nil }
    #expect(throws: UnavailableMemory(address: PhysicalAddress(0x800), reason: .notCaptured)) {
      try memory.loadUInt64(at: PhysicalAddress(0x800))
    }
    #expect(throws: UnavailableMemory(address: PhysicalAddress(0), reason: .unbacked)) {
      try memory.loadUInt64(at: PhysicalAddress(0))
    }
    #expect(throws: Never.self) { try memory.loadUInt64(at: PhysicalAddress(.max - 7)) }
    #expect(throws: UnavailableMemory(address: PhysicalAddress(0), reason: .unbacked)) {
      try memory.loadUInt64(at: PhysicalAddress(.max - 3))
    }
  }

  @Test func `pages are kept, the last of them only, and asked for once`() {
    var cache = PageCache()
    var asked = 0
    func read(_ page: UInt64) -> [UInt8]? {
      cache.page(at: page) {
        asked += 1
        return page == 7 ? nil : [UInt8(truncatingIfNeeded: page)]
      }
    }
    for _ in 0..<3 {
      #expect(read(5) == [5])
      #expect(read(7) == nil)
    }
    #expect(asked == 2)
    for page in 0..<UInt64(3 * PageCache.generationLimit) { _ = read(page + 100) }
    #expect(read(5) == [5])
    #expect(asked == 2 + 3 * PageCache.generationLimit + 1)
  }
}
