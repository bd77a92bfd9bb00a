import Foundation
import QEMU
import SystemPackage
import Testing
import X86

@testable import Capture

/// A real QEMU under TCG that Inquest did not start.
@Suite(.serialized) struct LiveGuestTests {
  /// How the guest's RAM is put into QEMU.
  enum RAM: CaseIterable {
    /// A memfd that QEMU seals, which can be mapped.
    case sealed
    /// A file that could become shorter, which is read.
    case file
    /// Memory of QEMU's own, which is read out of its process.
    case anonymous

    func arguments(_ folder: URL) -> [String] {
      switch self {
      case .sealed: backend("memory-backend-memfd,id=ram0,size=64M,share=on")
      case .file: backend("memory-backend-file,id=ram0,size=64M,share=on,mem-path=\(folder.path)/ram")
      case .anonymous: ["-m", "64"]
      }
    }

    private func backend(_ object: String) -> [String] {
      ["-m", "64", "-object", object, "-machine", "pc,memory-backend=ram0"]
    }
  }

  enum Door: CaseIterable {
    case qmp
    case gdb

    func open(_ qemu: RunningQEMU) throws -> LiveGuest {
      switch self {
      case .qmp: try LiveGuest(qmp: qemu.qmp)
      case .gdb: try LiveGuest(gdb: qemu.gdb)
      }
    }
  }

  /// Runs `body` with a QEMU whose guest has reached the boot sector that hangs.
  func withHangingGuest<Result>(
    _ ram: RAM = .anonymous, _ more: [String] = [], _ body: (RunningQEMU) throws -> Result
  ) throws -> Result {
    try BootSector.hang.withFile { file in
      let qemu = try RunningQEMU {
        ["-drive", "if=floppy,format=raw,readonly=on,file=\(file)"] + ram.arguments($0) + more
      }
      while !more.contains("-S"), qemu.observer.monitor("info registers")?.contains("HLT=1") != true { usleep(10_000) }
      return try body(qemu)
    }
  }

  // MARK: Memory

  @Test(arguments: Door.allCases, RAM.allCases)
  func `memory is read, and what is no memory is told apart`(door: Door, ram: RAM) throws {
    try withHangingGuest(ram) { qemu in
      let guest = try door.open(qemu)
      try guest.freeze()
      let memory = try guest.scene().memory
      #expect(memory.isShared == (ram == .sealed))
      var sector = [UInt8](repeating: 0, count: 512)
      var span = sector.mutableSpan
      try memory.read(PhysicalAddress(0x7C00), into: &span)
      #expect(sector.prefix(4) == [0xFA, 0xF4, 0xEB, 0xFD])
      #expect(sector.suffix(2) == [0x55, 0xAA])
      // The far jump at the reset vector, in ROM.
      #expect(try memory.loadUInt32(at: PhysicalAddress(0xFFFF_FFF0)) & 0xFF == 0xEA)
      #expect(reason(memory, 0x8000_0000) == .unbacked)
      // The registers of the I/O APIC, which follow the gap after RAM.
      #expect(reason(memory, 0xFEC0_0000) == .device)
    }
  }

  private func reason(_ memory: CapturedMemory, _ address: UInt64) -> UnavailableMemory.Reason? {
    do throws(UnavailableMemory) {
      _ = try memory.loadUInt64(at: PhysicalAddress(address))
      return nil
    } catch {
      return error.reason
    }
  }

  @Test func `memory above 4 GiB is where the map says`() throws {
    let options = ["-object", "memory-backend-memfd,id=big,size=5G,share=on", "-machine", "pc,memory-backend=big"]
    try withHangingGuest(.anonymous, ["-m", "5G"] + options) { qemu in
      let memory = try LiveGuest(qmp: qemu.qmp).scene().memory
      let high = try #require(memory.map?.range(at: PhysicalAddress(0x1_0000_0000)))
      #expect(high.name == "big")
      #expect(
        try memory.loadUInt64(at: high.last.rawValue == 0 ? high.first : PhysicalAddress(high.last.rawValue - 7)) == 0)
    }
  }

  /// Each way to the same memory, the ones that need no rights among them.
  @Test(arguments: RAM.allCases) func `every way gives the same bytes`(ram: RAM) throws {
    try withHangingGuest(ram) { qemu in
      let overGDB = try LiveGuest(gdb: qemu.gdb)
      let overQMP = try LiveGuest(qmp: qemu.qmp)
      let map = try overQMP.scene().memory.map
      let ways: [any PhysicalMemory] = [
        try overQMP.scene().memory, try overGDB.scene().memory,
        CapturedMemory(map: map, reader: MonitorPages(monitor: qemu.observer.monitor)) { _ in nil },
        CapturedMemory(map: map, reader: try attached(qemu, overGDB)) { _ in nil },
      ]
      for page: UInt64 in [0, 0x7000, 0x9F000, 0xF0000, 0x3FF_F000, 0xFFFC_0000, 0xFFFF_F000] {
        let contents = try ways.map { way in
          var bytes = [UInt8](repeating: 0, count: 4096)
          var span = bytes.mutableSpan
          try way.read(PhysicalAddress(page), into: &span)
          return bytes
        }
        for other in contents { #expect(other == contents[0], "\(page.hexadecimal)") }
      }
    }
  }

  /// The gdbstub's own pages, once `other` has let go of it.
  private func attached(_ qemu: RunningQEMU, _ other: LiveGuest) throws -> GDBAttachment {
    other.thaw()
    let attachment = GDBAttachment(qemu.gdb)
    try attachment.freeze()
    return attachment
  }

  /// Over TCP nothing tells whose memory it is, and QEMU itself is asked for each page.
  @Test(arguments: Door.allCases) func `a guest is read over TCP`(door: Door) throws {
    let socket = ["-chardev", "socket,id=tcp,host=127.0.0.1,port=0,server=on,wait=off"]
    try withHangingGuest(.anonymous, socket + ["-mon", "chardev=tcp,mode=control"]) { qemu in
      for place in ["none", "tcp:127.0.0.1:0"] { _ = try qemu.observer.execute(.monitor("gdbserver \(place)")) }
      let guest =
        switch door {
        case .qmp: try LiveGuest(qmp: qemu.address(ofChardev: "tcp"))
        case .gdb: try LiveGuest(gdb: qemu.address(ofChardev: "gdb"))
        }
      try guest.freeze()
      let scene = try guest.scene()
      #expect(!scene.memory.isShared)
      #expect(scene.processors.count == 1)
      #expect(try scene.memory.loadUInt32(at: PhysicalAddress(0x7C00)) == 0xFDEB_F4FA)
    }
  }

  @Test func `a guest under KVM is read`() throws {
    guard case .usable = HostKVM.current().device else {
      print("a guest under KVM is read: skipped, /dev/kvm cannot be used")
      return
    }
    // Where KVM emulates every instruction SeaBIOS takes its time: the guest is not waited for.
    let qemu = try RunningQEMU(accelerator: "kvm") { _ in ["-m", "64"] }
    for door in Door.allCases {
      let guest = try door.open(qemu)
      #expect(guest.identity.usesKVM == true)
      #expect(guest.stateFound == .running)
      try guest.freeze()
      let scene = try guest.scene()
      #expect(scene.processors.count == 1)
      #expect(try scene.memory.loadUInt32(at: PhysicalAddress(0xFFFF_FFF0)) & 0xFF == 0xEA)
      guest.thaw()
      #expect(settled(qemu, "running"))
    }
  }

  // MARK: Registers

  @Test(arguments: [1, 3]) func `registers agree over QMP, over the gdbstub's monitor, and in GDB's own form`(
    processors: Int
  ) throws {
    try withHangingGuest(.anonymous, ["-smp", "\(processors)", "-cpu", "max"]) { qemu in
      let overGDB = try LiveGuest(gdb: qemu.gdb).scene().processors
      let overQMP = try LiveGuest(qmp: qemu.qmp)
      try overQMP.freeze()
      let states = try overQMP.scene().processors
      #expect(states.count == processors)
      #expect(overGDB == states)

      let connection = GDBConnection(try qemu.gdb.connect(until: .now + .seconds(5)))
      try connection.negotiate(within: .seconds(5))
      let description = try GDBTargetDescription { file throws(GDBTargetDescriptionError) in
        guard let text = try? connection.file(file) else { throw .unreadableFile(file) }
        return text
      }
      let threads = try connection.threads()
      #expect(threads.count == processors)
      for (thread, state) in zip(threads, states) {
        try connection.order(.selectThread(thread))
        let all = try connection.perform(.readRegisters)
        for (name, value) in expected(state) {
          #expect(description.value(of: name, in: all) == value, "\(name) in g")
          let number = try #require(description[name]?.number)
          #expect(try connection.perform(.readRegister(number)).registerValue == value, "\(name) by p")
        }
      }
    }
  }

  private func expected(_ state: ProcessorState) -> [(String, UInt64)] {
    [
      ("rax", state.generalPurpose.rax), ("rbx", state.generalPurpose.rbx), ("rsp", state.generalPurpose.rsp),
      ("rip", state.rip), ("eflags", state.rflags.rawValue), ("cs", UInt64(state.cs.selector.rawValue)),
      ("ss", UInt64(state.ss.selector.rawValue)), ("cr0", state.cr0.rawValue), ("cr2", state.cr2),
      ("cr3", state.cr3), ("cr4", state.cr4.rawValue), ("efer", state.efer?.rawValue ?? 0),
    ]
  }

  // MARK: Left as found

  @Test(arguments: Door.allCases, [[], ["-S"]]) func `the guest is left as it was found`(door: Door, more: [String])
    throws
  {
    try withHangingGuest(.anonymous, more) { qemu in
      let before = try #require(qemu.state)
      #expect(before == (more.isEmpty ? "running" : "prelaunch"))
      do {
        let guest = try door.open(qemu)
        #expect(guest.stateFound.rawValue == before)
        try guest.freeze()
        #expect(qemu.state == (more.isEmpty ? "paused" : "prelaunch"))
        guest.thaw()
        #expect(settled(qemu, before))
        try guest.freeze()
        _ = try guest.scene()
      }
      #expect(settled(qemu, before))
      // The user's own pause is kept too.
      _ = try qemu.observer.execute(.stop)
      do {
        let guest = try door.open(qemu)
        try guest.freeze()
        _ = try guest.scene()
      }
      #expect(qemu.state == (more.isEmpty ? "paused" : "prelaunch"))
    }
  }

  /// Whether the guest comes to the state: a gdbstub answers before it lets the guest go.
  private func settled(_ qemu: RunningQEMU, _ state: String) -> Bool {
    for _ in 0..<500 where qemu.state != state { usleep(10_000) }
    return qemu.state == state
  }

  @Test func `a gdbstub's mode of addresses is given back`() throws {
    try withHangingGuest { qemu in
      do { _ = try LiveGuest(gdb: qemu.gdb).scene() }
      let connection = GDBConnection(try qemu.gdb.connect(until: .now + .seconds(5)))
      try connection.negotiate(within: .seconds(5))
      #expect(try connection.perform(.queryPhysicalMemoryMode).text == "0")
    }
  }

  @Test func `reading a running guest over QMP does not stop it`() throws {
    try withHangingGuest { qemu in
      let guest = try LiveGuest(qmp: qemu.qmp)
      let scene = try guest.scene()
      #expect(scene.processors.count == 1)
      #expect(qemu.state == "running")
      #expect(try scene.memory.loadUInt32(at: PhysicalAddress(0x7C00)) == 0xFDEB_F4FA)
    }
  }

  // MARK: Identity

  @Test(arguments: Door.allCases) func `version, accelerator and features are known`(door: Door) throws {
    try withHangingGuest(.anonymous, ["-cpu", "Haswell,+pdpe1gb,check=off", "-smp", "2"]) { qemu in
      let identity = try door.open(qemu).identity
      #expect(identity.version.major >= 6)
      #expect(identity.usesKVM == false)
      #expect(identity.processors.count == 2)
      #expect(identity.physicalAddressBits == 40)
      #expect(identity.processors[0].features?.has(.pdpe1gb) == true)
    }
  }

  // MARK: What does not answer

  @Test func `a socket that serves another client is said to`() throws {
    try withHangingGuest { qemu in
      let first = try LiveGuest(qmp: qemu.qmp)
      let error = #expect(throws: LiveGuestError.self) { try LiveGuest(qmp: qemu.qmp, within: .milliseconds(300)) }
      #expect(error == .silent(qemu.qmp, .qmp))
      #expect(error?.description.contains("one client at a time") == true)
      #expect(try first.scene().processors.count == 1)
    }
  }

  @Test func `nobody listens`() {
    let address = SocketAddress("/nonexistent/socket")
    #expect(throws: LiveGuestError.cannotConnect(address, errno: ENOENT)) { try LiveGuest(qmp: address) }
    #expect(throws: LiveGuestError.cannotConnect(address, errno: ENOENT)) { try LiveGuest(gdb: address) }
  }

  @Test func `the wrong kind of socket`() throws {
    try withHangingGuest { qemu in
      #expect(throws: LiveGuestError.notSpoken(qemu.qmp, .gdb)) { try LiveGuest(gdb: qemu.qmp) }
      #expect(throws: LiveGuestError.notSpoken(qemu.gdb, .qmp)) { try LiveGuest(qmp: qemu.gdb) }
    }
  }

  @Test func `QEMU ends while it is read`() throws {
    try withHangingGuest { qemu in
      let guest = try LiveGuest(qmp: qemu.qmp)
      _ = try? qemu.observer.execute(.quit)
      #expect(throws: LiveGuestError.self) {
        while true { _ = try guest.scene() }
      }
    }
  }

  @Test(
    arguments: [
      ("/run/qmp.sock", .unix("/run/qmp.sock")), ("qmp", .unix("qmp")), ("unix:/a:1", .unix("/a:1")),
      ("/a:1", .unix("/a:1")), ("localhost:1234", .tcp(host: "localhost", port: 1234)),
      (":1234", .tcp(host: "localhost", port: 1234)), ("tcp:10.0.0.1:1", .tcp(host: "10.0.0.1", port: 1)),
      ("[::1]:1234", .tcp(host: "::1", port: 1234)), ("host:99999", .unix("host:99999")), ("", .unix("")),
    ] as [(String, SocketAddress)]) func `addresses are read as QEMU writes them`(text: String, address: SocketAddress)
  {
    #expect(SocketAddress(text) == address)
  }
}
