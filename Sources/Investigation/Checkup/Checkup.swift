import QEMU
public import X86

/// A living guest, held against what KVM and real processors would do with it: the faults it has not had yet.
///
/// What is judged: the entries of its page tables that were used, its control registers, its IDT with the way to each
/// handler, the descriptors of its GDT and its TSS, and its stack. What cannot be decided is left out, and said in
/// ``unjudged``.
public struct Checkup: Hashable, Sendable {
  public private(set) var faults: [LatentFault] = []
  /// What could not be judged, and why.
  public private(set) var unjudged: [String] = []

  /// - Parameter walkers: Whose rules the tables are held against.
  public init(of scene: Scene, walkers: [Walker] = Walker.representative) {
    guard let memory = scene.memory else {
      unjudged = ["everything but the registers: the memory is not known"]
      return
    }
    if scene.processors.isEmpty { unjudged.append("everything: no registers are known") }
    var seen: Set<LatentFault> = []
    for processor in scene.processors {
      var examiner = Examiner(processor, scene, walkers)
      examiner.run(in: memory)
      faults += examiner.faults.filter { seen.insert($0).inserted }
      unjudged += examiner.unjudged.filter { !unjudged.contains($0) }
    }
    faults.sort { $0.severity < $1.severity }
  }
}

/// Examines one processor.
struct Examiner {
  let processor: ObservedProcessor
  let scene: Scene
  let walkers: [Walker]
  var faults: [LatentFault] = []
  var unjudged: [String] = []

  init(_ processor: ObservedProcessor, _ scene: Scene, _ walkers: [Walker]) {
    self.processor = processor
    self.scene = scene
    self.walkers = walkers
  }

  var state: ProcessorState { processor.state }

  /// The processor as it would take an exception of the supervisor.
  var instant: Instant {
    var instant = scene.instant(of: processor)
    instant.state.currentPrivilegeLevel = 0
    instant.paging = Paging(state, rules: .acceptingAll)
    return instant
  }

  /// Adds a fault that does not hang on the walker.
  mutating func add(_ id: String, _ severity: LatentFault.Severity, _ words: String, remedy: String) {
    faults.append(LatentFault(id, severity, words, remedy: remedy, source: processor.source))
  }

  mutating func run(in memory: some PhysicalMemory) {
    let inputs = scene.walkerInputs(for: state)
    guard let paging = Paging(state, rules: .acceptingAll) else {
      unjudged.append("vCPU \(processor.index): EFER is not known, which tells PAE paging from long mode's")
      return
    }
    guard state.cr0.contains(.protectionEnable) else {
      unjudged.append("vCPU \(processor.index): it is in real mode, which has no tables to judge")
      return
    }
    examineTables(paging, inputs, in: memory)
    examineControlRegisters()
    examineInterrupts()
    examineSegments(paging, in: memory)
    examineStack(paging, in: memory)
  }
}

extension PagingRules {
  /// The rules of a processor with everything, for what does not hang on reserved bits: those that a living guest has in
  /// use have been accepted, and who else would accept them is a question of its own.
  fileprivate static let acceptingAll = PagingRules(
    hasGiBPages: true, maximumPhysicalAddressBits: 52, executeDisableEnabled: true, isAMD: false,
    fourMiBPageAddressBits: 40, quirks: [.readsPDPTEs, .ignoresPDPTEBits])
}
