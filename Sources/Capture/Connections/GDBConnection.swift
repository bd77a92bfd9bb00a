import Glibc
import QEMU
import SystemPackage
import X86

/// Why a request to a GDB stub has no answer that can be used.
enum GDBRefusal: Error, Hashable {
  /// The stub's own error number, `E22`.
  case refused(UInt8)
  /// The stub does not know the request.
  case unknownRequest
  /// The answer is not what was asked for, or is no GDB at all.
  case garbled
  /// The stub closed the connection.
  case gone
  case silent
}

/// A gdbstub that this process is connected to. Its guest stands still meanwhile.
final class GDBConnection {
  /// How often a packet may arrive damaged, or be asked for again, before the connection is given up.
  private static let mostRepetitions = 3
  /// The longest text that a monitor's command may print: as long as the longest line of QMP.
  private static let longestOutput = QMPDecoder.maximumLength

  private(set) var socket: OwnedDescriptor?
  private var decoder = GDBDecoder()
  private var buffer = [UInt8](repeating: 0, count: 1 << 16)
  private var acknowledges = true
  /// The longest packet that the stub takes and gives.
  private(set) var packetSize = 0
  /// Whether the stub said unasked that the guest stopped.
  private(set) var announcedStop = false

  init(_ socket: OwnedDescriptor) { self.socket = socket }

  /// Tells the stub what is wanted of it, and asks what it can.
  func negotiate(within time: Duration) throws(GDBRefusal) {
    let features = try request(.supported, within: time)
    // Packets carry a register or a few bytes of memory at least.
    guard let size = features.feature("PacketSize").flatMap({ Int($0, radix: 16) }), size >= 64 else { throw .garbled }
    packetSize = min(size, GDBDecoder.maximumLength)
    guard features.feature("QStartNoAckMode") == "+" else { return }
    if try request(.startNoAcknowledgmentMode).isOK { acknowledges = false }
  }

  /// Sends a request and waits for the answer to it. An answer that is no error and not empty.
  func perform(_ command: GDBCommand) throws(GDBRefusal) -> GDBReply {
    let reply = try request(command)
    if reply.isUnknownRequest { throw .unknownRequest }
    if let number = reply.errorNumber { throw .refused(number) }
    return reply
  }

  /// What `read` makes of the answer to a request.
  private func perform<Value>(
    _ command: GDBCommand, _ read: (GDBReply) throws(GDBReplyError) -> Value
  ) throws(GDBRefusal) -> Value {
    let reply = try perform(command)
    do throws(GDBReplyError) { return try read(reply) } catch { throw .garbled }
  }

  /// Sends a request that has nothing to tell but whether it was done.
  func order(_ command: GDBCommand) throws(GDBRefusal) {
    guard try perform(command).isOK else { throw .garbled }
  }

  /// What a command of QEMU's monitor prints.
  func monitor(_ line: String) throws(GDBRefusal) -> String {
    let deadline = ContinuousClock.now + qemuAnswerTime
    var output: [UInt8] = []
    var reply = try request(.monitor(line))
    while let text = reply.consoleOutput {
      output += text
      if output.count > Self.longestOutput { throw .garbled }
      reply = try nextReply(to: nil, until: deadline)
    }
    if reply.isUnknownRequest { throw .unknownRequest }
    if let number = reply.errorNumber { throw .refused(number) }
    guard reply.isOK else { throw .garbled }
    return String(decoding: output, as: UTF8.self)
  }

  /// A file that the stub gives in parts.
  func file(_ name: String) throws(GDBRefusal) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < 1 << 20 {
      let request = GDBCommand.readFeatures(name, offset: bytes.count, count: packetSize - 8)
      let part = try perform(request) { reply throws(GDBReplyError) in try reply.filePart }
      bytes += part.bytes
      if part.isLast { return bytes }
      if part.bytes.isEmpty { break }
    }
    throw .garbled
  }

  /// The processors.
  func threads() throws(GDBRefusal) -> [GDBThread] {
    var threads: [GDBThread] = []
    var command = GDBCommand.firstThreads
    // No machine of QEMU has as many processors.
    while threads.count <= 4096 {
      let more = try perform(command) { reply throws(GDBReplyError) in try reply.threads }
      if more.isEmpty { return threads }
      threads += more
      command = .furtherThreads
    }
    throw .garbled
  }

  /// Bytes of memory, physical or virtual as the stub's mode is; `count` is at most half of `packetSize`.
  func memory(at address: PhysicalAddress, count: Int) throws(GDBRefusal) -> [UInt8] {
    let bytes = try perform(.readMemory(address, count: count)) { reply throws(GDBReplyError) in try reply.bytes }
    guard bytes.count == count else { throw .garbled }
    return bytes
  }

  /// Sends a request and waits for what answers it, whatever that is.
  func request(_ command: GDBCommand, within time: Duration = qemuAnswerTime) throws(GDBRefusal) -> GDBReply {
    try send(GDBPacket.framed(command.payload))
    return try nextReply(to: command, until: .now + time)
  }

  // MARK: Running

  /// Lets the guest run, which is answered when it stops. Until then any byte that is sent stops it (`gdbstub.c:
  /// gdb_read_byte`, 7.2), and nothing is.
  func resume() throws(GDBRefusal) { try send(GDBPacket.framed(GDBCommand.resume.payload)) }

  /// Whether the guest has stopped since ``resume()``, as far as has arrived.
  func takeStop() throws(GDBRefusal) -> Bool {
    socket.drain(through: &buffer) { decoder.receive($0) }
    return try awaitStop(until: .now)
  }

  /// Stops the guest that ``resume()`` let run; false where it stands still already, and nothing comes in `time`.
  func interrupt(within time: Duration) throws(GDBRefusal) -> Bool {
    // GDB manual, E.9 "Interrupts".
    try send([0x03])
    return try awaitStop(until: .now + time)
  }

  private func awaitStop(until deadline: ContinuousClock.Instant) throws(GDBRefusal) -> Bool {
    do throws(GDBRefusal) {
      _ = try nextReply(to: .resume, until: deadline)
      return true
    } catch {
      guard error == .silent else { throw error }
      return false
    }
  }

  // MARK: Packets

  /// The next packet that answers.
  ///
  /// - Parameter command: What is sent again if the stub asks for it; nil where nothing was sent.
  private func nextReply(
    to command: GDBCommand?, until deadline: ContinuousClock.Instant
  ) throws(GDBRefusal) -> GDBReply {
    var repetitions = 0
    while true {
      switch try nextMessage(until: deadline) {
      case .acknowledgment: continue
      case .retransmissionRequest:
        repetitions += 1
        guard repetitions <= Self.mostRepetitions, let command else { throw .garbled }
        try send(GDBPacket.framed(command.payload))
      case .damagedPacket:
        repetitions += 1
        guard repetitions <= Self.mostRepetitions, acknowledges else { throw .garbled }
        try send([UInt8(ascii: "-")])
      case .packet(let reply):
        // A stub that is gone has still answered.
        if acknowledges { try? send([UInt8(ascii: "+")]) }
        guard reply.isStopReply, command?.asksForStop != true else { return reply }
        announcedStop = true
      }
    }
  }

  private func nextMessage(until deadline: ContinuousClock.Instant) throws(GDBRefusal) -> GDBMessage {
    while true {
      do throws(GDBProtocolError) {
        if let message = try decoder.next() { return message }
      } catch {
        socket = nil
        throw .garbled
      }
      guard let open = socket else { throw .gone }
      if deadline <= .now { throw .silent }
      _ = open.descriptor.waitUntil(.readable, deadline)
      socket.drain(through: &buffer) { decoder.receive($0) }
    }
  }

  private func send(_ bytes: [UInt8]) throws(GDBRefusal) {
    guard let socket else { throw .gone }
    if socket.descriptor.sendWhole(bytes) { return }
    throw errno == EPIPE || errno == ECONNRESET ? .gone : .silent
  }
}

extension GDBCommand {
  /// Whether a packet that says the guest stopped is the answer.
  fileprivate var asksForStop: Bool { [.stopReason, .step, .resume].contains(self) }
}
