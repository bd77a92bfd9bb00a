import CLinux
import Capture
import Glibc
import SeededRandom
import Testing
import X86

/// The library's walk held against KVM's own on this machine.
///
/// KVM_TRANSLATE makes a supervisor's explicit read and tells whether it is allowed and where it goes, and no more. It does
/// not look at whether an address is canonical, so that only canonical ones are asked.
/// `INQUEST_ORACLE_CASES` sets how many cases are drawn, `INQUEST_ORACLE_SEED` from which seed.
@Suite("KVM as oracle")
struct KVMOracleTests {
  /// A case in which the two disagree.
  struct Difference: CustomStringConvertible {
    var number: Int
    var address: UInt64
    var answer: VirtualMachine.Answer
    var walk: PageWalk

    var description: String {
      let kvm = answer.physicalAddress?.hexadecimal ?? "invalid"
      return "case \(number): KVM \(kvm), \(walk.account)"
    }
  }

  static let pages = 32
  /// How many addresses are asked with one setting of the registers, and after how many of them an entry changes.
  static let (casesPerProcessor, casesPerChange) = (200, 4)

  @Test("Random tables, every mode: KVM_TRANSLATE and the model agree")
  func agreesWithKVM() {
    let host = HostKVM.current()
    guard case .usable = host.device, let supported = host.supportedCPUID?.value else {
      print("KVM as oracle: skipped, /dev/kvm cannot be used (\(host.device))")
      return
    }
    let machine: VirtualMachine
    let base: kvm_sregs2
    do throws(VirtualMachine.Refusal) {
      machine = try VirtualMachine(pages: Self.pages)
      base = try machine.specialRegisters()
    } catch {
      print("KVM as oracle: skipped, \(error)")
      return
    }
    guard let walker = Self.walker(of: host) else {
      print("KVM as oracle: skipped, nothing tells the kernel's version and whether EPT or NPT is on")
      return
    }
    let cases = OracleSetting.number("INQUEST_ORACLE_CASES") ?? 200_000
    let seed = OracleSetting.seed
    var run = OracleRun(
      machine: machine, base: base, supported: supported, walker: walker, generator: SeededGenerator(seed: seed))
    // A KVM that refuses everything must not keep the run going.
    while run.done < cases && run.refusals < 100 + run.done / 100 {
      run.next(count: min(Self.casesPerProcessor, cases - run.done))
    }
    print("KVM as oracle: \(walker), seed \(seed), \(run.done) cases, \(run.differences) differences")
    for mode in PagingMode.allCases where !run.modes.contains(mode) { print("  this KVM has no \(mode.name)") }
    run.coverage.print()
    for difference in run.firstDifferences { Issue.record("seed \(seed), \(difference)") }
    #expect(run.differences == 0)
    #expect(run.coverage.counts.keys.contains { $0.contains("translated") })
  }

  private static func walker(of host: HostKVM) -> Walker? {
    guard let release = host.kernelRelease?.value, let isTwoDimensional = host.usesTwoDimensionalPaging?.value else {
      return nil
    }
    let numbers = release.split(separator: ".", maxSplits: 2).prefix(2).compactMap { Int($0.prefix { $0.isNumber }) }
    guard numbers.count == 2 else { return nil }
    return .kvm(SoftwareVersion(numbers[0], numbers[1]), twoDimensionalPaging: isTwoDimensional)
  }
}

/// A run of cases, one processor after the other.
struct OracleRun {
  let machine: VirtualMachine
  let base: kvm_sregs2
  let supported: CPUID
  let walker: Walker
  let hostHasGiBPages = LinuxProcessor.current()?.has(.pdpe1gb)
  var generator: SeededGenerator
  private(set) var done = 0
  private(set) var coverage = OracleCoverage()
  /// How many settings of the registers KVM refused.
  private(set) var refusals = 0
  private(set) var differences = 0
  private(set) var firstDifferences: [KVMOracleTests.Difference] = []
  /// The modes that this KVM has shown no sign of not having.
  private(set) var modes = PagingMode.allCases

  init(machine: VirtualMachine, base: kvm_sregs2, supported: CPUID, walker: Walker, generator: SeededGenerator) {
    self.machine = machine
    self.base = base
    self.supported = supported
    self.walker = walker
    self.generator = generator
  }

  /// Draws a processor and tables and asks for `count` addresses.
  mutating func next(count: Int) {
    let processor = RandomProcessor(
      supported: supported, modes: modes, pages: KVMOracleTests.pages, using: &generator)
    let tables = RandomTables(pages: KVMOracleTests.pages, isTwoLevel: processor.mode == .twoLevel)
    tables.fill(machine.memory, cr3: processor.cr3, isPAE: processor.mode == .pae, using: &generator)
    let inputs = WalkerInputs(
      guest: PagingRules(cpuid: processor.cpuid, efer: processor.efer),
      host: PagingRules(hasGiBPages: hostHasGiBPages),
      kvmOffersGiBPages: supported.has(.pdpe1gb))
    var paging = processor.paging(walker, inputs, pdpteRegisters: nil)
    do throws(VirtualMachine.Refusal) {
      try machine.setCPUID(processor.cpuid)
      try machine.setFlags(processor.flags)
      if processor.mode == .pae { paging.pdpteRegisters = try loadPDPTEs(of: processor, paging, tables) }
      if processor.mode != .pae { try machine.set(processor.registers(base, pdpteRegisters: nil)) }
      // kvm_pvm pages in long mode only, and otherwise leaves CR0.PG clear.
      guard try processor.agrees(with: machine.specialRegisters()) else {
        modes.removeAll { $0 == processor.mode }
        return
      }
    } catch {
      coverage.count("\(processor.mode.name): refused by KVM, \(error)")
      refusals += 1
      return
    }
    for number in 0..<count { ask(number, processor, paging, tables) }
    done += count
  }

  private mutating func ask(
    _ number: Int, _ processor: RandomProcessor, _ paging: Paging, _ tables: RandomTables
  ) {
    if number % KVMOracleTests.casesPerChange == 0 { tables.change(machine.memory, using: &generator) }
    let address = tables.address(processor.mode, using: &generator)
    let walk = paging.walk(LinearAddress(address), for: PageAccess(.read, by: .supervisor), in: machine.memory)
    coverage.count(walk)
    let expected = VirtualMachine.Answer(physicalAddress: walk.outcome.physicalAddress?.rawValue)
    guard let answer = try? machine.translate(address) else {
      coverage.count("KVM_TRANSLATE refused")
      return
    }
    if answer != expected || walk.judgement == .undecided {
      differences += 1
      let difference = KVMOracleTests.Difference(number: done + number, address: address, answer: answer, walk: walk)
      if firstDifferences.count < 10 { firstDifferences.append(difference) }
    }
  }

  /// Sets the registers of a processor with PAE paging, and returns the PDPTE registers that it has then.
  ///
  /// First they are given, with bits that no load would accept. Half of the time KVM then loads them from memory; where
  /// the load must fail, KVM_SET_SREGS2 keeps those that there were and reports nothing.
  private mutating func loadPDPTEs(
    of processor: RandomProcessor, _ paging: Paging, _ tables: RandomTables
  ) throws(VirtualMachine.Refusal) -> PDPTERegisters {
    let given = PDPTERegisters(
      tables.pdpte(using: &generator), tables.pdpte(using: &generator), tables.pdpte(using: &generator),
      tables.pdpte(using: &generator))
    try machine.set(processor.registers(base, pdpteRegisters: given))
    guard generator.oneIn(2) else { return given }
    try machine.set(processor.registers(base, pdpteRegisters: nil))
    do throws(PDPTELoadFault) {
      let loaded = try paging.loadPDPTEs(from: machine.memory)
      coverage.count("PDPTEs loaded")
      return loaded
    } catch {
      coverage.count("PDPTEs not loaded")
      return given
    }
  }
}
