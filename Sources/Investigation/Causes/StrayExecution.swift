import GuestImage
import QEMU
import X86

/// `execution.zeroes` or `execution.outside-ram` where memory is not at hand: RIP lies in no part of the guest's image, and what is logged is what
/// empty memory, or none at all, would do there.
struct StrayExecution: CauseOfDeath {
  static let manuals: [ManualPage] = []

  /// What tells.
  private enum Reason {
    case place(StrayPlace)
    /// A listing shows zeroes at RIP.
    case zeroes
    /// Zeroes would do the same, and so may code that is meant.
    case suspicion
  }

  private let fault: FirstFault
  private let reason: Reason

  init?(_ fault: FirstFault, in scene: Scene) {
    guard scene.memory == nil, let state = fault.state, state.mode != .real else { return nil }
    self.fault = fault
    let place = StrayPlace(state, in: scene)
    if case .noInstruction = fault.exception.reason {
      guard let place, !place.isMemory else { return nil }
      reason = .place(place)
      return
    }
    // `add [rax], al`, which zeroes are, raises #PF where RAX leads.
    guard let access = fault.exception.access, access.access.kind != .fetch,
      access.address.rawValue == state.generalPurpose.rax, fault.instruction.map({ $0.bytes == [0, 0] }) ?? true
    else { return nil }
    if let place, !place.isMemory || fault.instruction != nil || place.isEntry {
      reason = .place(place)
    } else if fault.instruction != nil, state.currentPrivilegeLevel == 0, !StrayPlace.isBeyondMemory(state, in: scene) {
      reason = .zeroes
    } else {
      // No code that is meant begins with a page as a rule, and with such an access.
      guard state.rip & 0xFFF == 0 else { return nil }
      reason = .suspicion
    }
  }

  private var isOutsideMemory: Bool { if case .place(let place) = reason { !place.isMemory } else { false } }
  var id: String { isOutsideMemory ? FetchOutsideMemory.id : ExecutingZeroes.id }
  var title: String { isOutsideMemory ? FetchOutsideMemory.title : ExecutingZeroes.title }

  var isExplained: Bool { if case .suspicion = reason { false } else { true } }

  /// How RIP came there is not known, and mostly not what is there either.
  var isDecided: Bool { false }

  private var address: String { (fault.exception.access?.address.rawValue ?? 0).hexadecimal }

  private var pointer: String { (fault.state?.instructionAddress.rawValue ?? 0).hexadecimal }

  var summary: String {
    switch reason {
    case .place(let place) where fault.exception.access == nil:
      return "RIP is \(place.words). What is read there is no instruction: \(fault.exception.vector.name)."
    case .place(let place):
      let what = place.isMemory ? "memory that was never filled reads" : "an address without memory reads"
      return
        "RIP is \(place.words). The access that fails is to \(address), which is what RAX holds: as zeroes do, which are `add [rax], al`, and as \(what)."
    case .zeroes:
      return
        "The bytes at RIP (\(pointer)) are zeroes, which are `add [rax], al` to the processor: it executes empty memory, until the address in RAX, \(address), "
        + "cannot be accessed."
    case .suspicion:
      return
        "RIP is the first byte of a page, and the access that fails is to \(address), which is what RAX holds: so do zeroes, which are `add [rax], al`. "
        + "Whether there is code at RIP, memory that was never filled, or none, nothing here shows"
    }
  }

  var remedies: [Remedy] {
    switch reason {
    case .place(let place): place.remedies
    case .zeroes: [StrayPlace.remedy]
    case .suspicion: []
    }
  }
}

/// `execution.outside-ram` by a log: #UD where no memory is, for there all bits read as ones.
struct LoggedStrayExecution: CauseOfLoggedFault {
  private let place: StrayPlace

  init?(_ fault: LoggedFault, in scene: Scene) {
    guard fault.vector == .invalidOpcode, fault.isTripleFault,
      let state = scene.processors.first(where: { $0.state.instructionAddress.rawValue == fault.programCounter })?
        .state,
      let place = StrayPlace(state, in: scene), !place.isMemory
    else { return nil }
    self.place = place
  }

  var id: String { FetchOutsideMemory.id }
  var title: String { FetchOutsideMemory.title }

  var summary: String { "RIP is \(place.words). What is read there is no instruction: #UD." }

  var remedies: [Remedy] { place.remedies }
}

/// Where RIP is if it is in no part of the guest's image, in the kernel's own code.
struct StrayPlace {
  private let pointer: UInt64
  /// The machine's memory in bytes; nil where RIP is not beyond it.
  private let exceeded: UInt64?

  /// Nil where RIP is in the image, or nothing shows that linear addresses are physical ones there: the image must be linked for where it is
  /// loaded, and the GDT in force must be a part of it. Bytes that are all ones in the window of the VGA tell it too.
  init?(_ state: ProcessorState, in scene: Scene) {
    let pointer = state.instructionAddress.rawValue
    guard scene.memory == nil, state.currentPrivilegeLevel == 0, scene.image?.place(of: pointer) == nil,
      Self.isIdentity(state, in: scene) || PCMemory.vgaWindow.contains(pointer) && Self.readsOnes(pointer, in: scene)
    else { return nil }
    self.pointer = pointer
    exceeded = Self.isBeyondMemory(state, in: scene) ? Self.memorySize(scene) : nil
  }

  private static func isIdentity(_ state: ProcessorState, in scene: Scene) -> Bool {
    guard let table = scene.image?.place(of: state.gdtr.base.rawValue) else { return false }
    return table.virtual.rawValue == table.physical.rawValue
  }

  private static func readsOnes(_ pointer: UInt64, in scene: Scene) -> Bool {
    guard let bytes = scene.listedCode(pointer)?.from, !bytes.isEmpty else { return false }
    return bytes.allSatisfy { $0 == 0xFF }
  }

  /// Without -m it is 128 MiB (hw/core/machine.c: machine_class_init, 7.2).
  private static func memorySize(_ scene: Scene) -> UInt64? { scene.commandLine.map { $0.memorySize ?? 128 << 20 } }

  /// Whether RIP, taken for a physical address, lies behind the machine's memory. Beyond 2 GiB the machine type tells where that lies
  /// (hw/i386/pc_piix.c: pc_init1, pc_q35.c: pc_q35_init, 7.2).
  static func isBeyondMemory(_ state: ProcessorState, in scene: Scene) -> Bool {
    guard let size = memorySize(scene), size <= 2 << 30 else { return false }
    return (size..<0xE000_0000).contains(state.instructionAddress.rawValue)
  }

  /// Whether there is RAM.
  var isMemory: Bool { !PCMemory.vgaWindow.contains(pointer) && exceeded == nil }

  /// Whether it is a place as an entry point has, and not one where code is copied to: into the first MiB trampolines are, and behind the first byte of
  /// a page some of that code has been executed. Where RAX cannot be written, the first zeroes that are executed fail already.
  var isEntry: Bool { pointer & 0xFFF == 0 && pointer >= 1 << 20 }

  var words: String {
    let place =
      PCMemory.vgaWindow.contains(pointer)
      ? ", in the window of the VGA" : exceeded.map { ", beyond the \($0 >> 20) MiB of memory (-m)" } ?? ""
    return
      "\(pointer.hexadecimal)\(place), where the guest's image has nothing (taken for a physical address, as in the image's own part of the address space)"
  }

  static let remedy = Remedy.guest(
    "find out what jumped there: an entry point or a segment that was not loaded where it belongs, a bad pointer, a return address that was overwritten",
    "Nothing was put there.")

  var remedies: [Remedy] {
    guard exceeded != nil else { return [Self.remedy] }
    return [
      Self.remedy,
      Remedy(
        kind: .commandLine, change: "-m with more memory",
        reason: "If the address is meant, the machine is too small for it.", available: nil),
    ]
  }
}
