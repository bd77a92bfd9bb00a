import CLinux
import Glibc
import X86

@testable import Capture

/// An ``AccessProgram`` that runs under TCG.
final class AccessGuest {
  /// An access that the guest is to make.
  struct Request {
    var address: UInt64
    var access: PageAccess
    /// RFLAGS.AC.
    var alignmentCheck: Bool
    /// What a write puts there.
    var value: UInt8

    /// CPL 3, or else 0.
    var isUserMode: Bool { access.privilege == .user || access.privilege == .implicitSupervisorAtCPL3 }

    /// An access of the processor to its own structures: the LDT, which it reads.
    var isImplicit: Bool { access.privilege != .user && access.privilege != .supervisor }
  }

  /// What came of it.
  struct Answer: Hashable {
    var vector: Int
    var errorCode: UInt64
    var rip: UInt64
    var cr2: UInt64
    /// AL, which a read has loaded.
    var value: UInt8
  }

  let machine: TCGMachine
  let program: AccessProgram

  /// Starts QEMU and brings its processor, which does nothing yet, into the mode.
  init(mode: PagingMode, cpu: String, pages: Int) throws {
    machine = try TCGMachine(cpu: cpu, pages: pages)
    program = AccessProgram(mode: mode, ram: machine.ram)
    var boot = RandomProcessor(bootOf: mode, cpuid: machine.cpuid)
    boot.cr3 = UInt64(program.base + AccessProgram.Page.bootRoot)
    try machine.set(boot)
    for (register, value) in [
      ("cs", AccessProgram.supervisorCode), ("ss", AccessProgram.supervisorData), ("ds", AccessProgram.userData),
      ("es", AccessProgram.userData), ("eflags", 2),
    ] { try machine.set(register, UInt64(value)) }
    for (register, offset) in [
      ("rip", AccessProgram.Page.code), ("rsp", AccessProgram.Page.stackTop), ("rbp", AccessProgram.Page.mailbox),
    ] { try machine.set(register, program.linear(offset)) }
    try machine.run()
  }

  /// Has the guest make accesses with the registers of a processor. Their number is not zero and at most
  /// ``AccessProgram/maximumRecords``.
  func answers(
    to requests: [Request], with processor: RandomProcessor, pkru: UInt32, pkrs: UInt32
  ) throws -> [Answer] {
    let mailbox = program.base + AccessProgram.Page.mailbox
    let fields: [(Int, UInt64)] = [
      (AccessProgram.Field.cr0, processor.cr0.rawValue), (AccessProgram.Field.cr3, processor.cr3),
      (AccessProgram.Field.cr4, processor.cr4.rawValue), (AccessProgram.Field.efer, processor.efer.rawValue),
      (AccessProgram.Field.cr4ForKeys, cr4ForKeys(processor).rawValue), (AccessProgram.Field.pkru, UInt64(pkru)),
      (AccessProgram.Field.pkrs, UInt64(pkrs)),
    ]
    for (field, value) in fields { machine.ram[mailbox + field] = value }
    for (number, request) in requests.enumerated() { write(request, number) }
    machine.ram.store(UInt32(requests.count), at: mailbox + AccessProgram.Field.count)
    try awaitEnd(of: mailbox + AccessProgram.Field.count)
    return requests.indices.map(answer)
  }

  private func cr4ForKeys(_ processor: RandomProcessor) -> CR4 {
    program.isLong ? processor.cr4.union([.protectionKeys, .supervisorProtectionKeys]) : processor.cr4
  }

  private func awaitEnd(of count: Int) throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while UInt32(truncatingIfNeeded: machine.ram[count]) != 0 {
      if deadline <= .now {
        throw TCGMachine.Refusal(
          description: "the guest went astray: " + (try machine.monitor.monitor("info registers")))
      }
      usleep(50)
    }
  }

  private func record(_ number: Int) -> Int {
    program.base + AccessProgram.Page.records + number * AccessProgram.Field.recordSize
  }

  private func write(_ request: Request, _ number: Int) {
    let user = request.isUserMode
    let ldtr = request.isImplicit ? program.makeLDT(number, at: request.address) : 0
    let flags = RFLAGS(rawValue: 2).union(request.alignmentCheck ? .alignmentCheck : [])
    let fields: [(Int, UInt64)] = [
      (AccessProgram.Field.address, request.address), (AccessProgram.Field.rip, rip(of: request)),
      (AccessProgram.Field.cs, UInt64(user ? AccessProgram.userCode : AccessProgram.supervisorCode)),
      (AccessProgram.Field.ss, UInt64(user ? AccessProgram.userData : AccessProgram.supervisorData)),
      (AccessProgram.Field.rflags, flags.rawValue), (AccessProgram.Field.ldtr, UInt64(ldtr)),
      (AccessProgram.Field.value, UInt64(request.value)),
    ]
    for (field, value) in fields { machine.ram[record(number) + field] = value }
  }

  /// Where the instruction is; a fetch is made by going to the address.
  func rip(of request: Request) -> UInt64 {
    let instruction: AccessProgram.Instruction
    switch request.access.kind {
    case .fetch: return request.address
    case .read: instruction = request.isImplicit ? .readDescriptor : .read
    case .write: instruction = .write
    }
    let page = request.isUserMode ? AccessProgram.Page.userCode : AccessProgram.Page.code
    return program.linear(page + instruction.rawValue)
  }

  private func answer(_ number: Int) -> Answer {
    func field(_ offset: Int) -> UInt64 {
      let value = machine.ram[record(number) + offset]
      return program.isLong ? value : value & 0xFFFF_FFFF
    }
    return Answer(
      vector: Int(field(AccessProgram.Field.vector)), errorCode: field(AccessProgram.Field.errorCode),
      rip: field(AccessProgram.Field.savedRIP), cr2: field(AccessProgram.Field.cr2),
      value: UInt8(truncatingIfNeeded: field(AccessProgram.Field.value)))
  }
}
