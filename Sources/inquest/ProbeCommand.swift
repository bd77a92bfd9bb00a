import ArgumentParser
import Capture
import FoundationEssentials
import Glibc
import KernelTypes
import SystemPackage
import Traces

/// `inquest probe`: arguments and return values of KVM's own functions.
struct ProbeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "probe",
    abstract: "Show what KVM's own functions are given and return, in time with its events.",
    discussion: """
      inquest probe kvm_fetch_guest_virt addr bytes 'ctxt->eip' -- qemu-system-x86_64 …
      inquest probe paging64_walk_addr_generic addr access --return --when 'addr == 0x133025' --pid 4711
      inquest probe --page-walk -o trace.dat -- qemu-system-x86_64 …
      inquest probe --list 'paging64_*'

      After a function come the arguments to show, as paths in C through pointers and members, then perhaps another \
      function; without any, all parameters are shown. Types come from the kernel's own BTF: neither debug symbols nor a \
      compiler is needed. The probes are removed however inquest ends.
      """)

  @Argument(
    help: ArgumentHelp(
      "Functions, each with what to show of it; after --, a command to run.",
      valueName: "function or argument"))
  var positional: [String] = []

  @Flag(name: .customLong("return"), help: "Show what the functions return, too.")
  var wantsReturn = false

  @Option(
    name: .customLong("when"),
    help: ArgumentHelp(
      "Show only such calls of the functions that have these parameters ('addr == 0x133025').", valueName: "condition"))
  var conditions: [String] = []

  @Flag(name: .customLong("stack"), help: "Show who called.")
  var wantsStack = false

  @Flag(help: "Show how KVM walks the guest's page tables: fetch, gva_to_gpa and the walk with its answer.")
  var pageWalk = false

  @Option(help: ArgumentHelp("Watch this running process, a QEMU, until it ends or Ctrl-C.", valueName: "pid"))
  var pid: Int32?

  @Flag(inversion: .prefixedNo, help: "Show kvm's own events between the calls.")
  var events = true

  @Option(help: ArgumentHelp("Print only the last lines, this many, at the end.", valueName: "n"))
  var last: Int?

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("Keep the recording, for inquest examine, trace-cmd and KernelShark.", valueName: "trace.dat"))
  var output: String?

  @Option(help: ArgumentHelp("List the functions whose names match, with their prototypes.", valueName: "pattern"))
  var list: String?

  @Flag(help: "Remove the probes that a crash of an earlier inquest left behind.")
  var removeLeftovers = false

  /// What follows `--`. A parser of arguments that takes two lists does not exist, and this one drops the mark.
  private var command: [String] { Array(CommandLine.arguments.drop { $0 != "--" }.dropFirst()) }
  private var words: [String] { Array(positional.dropLast(command.count)) }

  func validate() throws {
    if list != nil || removeLeftovers { return }
    guard pageWalk || !words.isEmpty else {
      throw ValidationError("no function to probe; --list shows which there are")
    }
    guard command.isEmpty != (pid == nil) else {
      throw ValidationError("a command after --, or --pid, says what to watch")
    }
    if let last, last < 0 { throw ValidationError("--last takes a number of lines, not \(last)") }
  }

  func run() throws {
    do {
      if removeLeftovers { return try removeAll() }
      if let list { return try printFunctions(matching: list) }
      try probe()
    } catch let refusal as ProbeRefusal {
      throw Failure(refusal.description)
    }
  }

  private func probe() throws {
    mentionLeftovers()
    let probes = try selectedProbes()
    let session = try ProbeSession(probes, tracepoints: events ? Self.tracepoints : [], keepsRecording: output != nil)
    var live = LiveProbeOutput(probes, last: last)
    var end: ProcessEnd?
    if let pid {
      try session.record(process: pid) { try live.take($0, from: session) }
    } else {
      end = try session.record(command) { try live.take($0, from: session) }
    }
    live.finish()
    if let output { try session.write(to: FilePath(output)) }
    if case .exited(let status)? = end { throw ExitCode(status) }
    if case .signalled(let signal)? = end { throw ExitCode(128 + signal) }
  }

  private func selectedProbes() throws -> [FunctionProbe] {
    var selection = ProbeSelection(functions: try KernelFunctions())
    selection.wantsReturn = wantsReturn
    selection.wantsStack = wantsStack
    for text in conditions {
      do throws(ExpressionError) {
        selection.conditions.append(try Condition(text))
      } catch {
        throw Failure("--when '\(text)': \(error)")
      }
    }
    let probes = try selection.probes(words) + (pageWalk ? selection.pageWalk() : [])
    guard conditions.isEmpty || probes.contains(where: { $0.condition != nil }) else {
      throw Failure("none of these functions has the parameters of --when")
    }
    return probes
  }

  /// Those that belong to what functions tell: how the guest was left, walked, emulated, and told.
  private static let tracepoints: Set<String> = [
    "kvm_entry", "kvm_exit", "kvm_userspace_exit", "kvm_page_fault", "kvm_inj_exception", "kvm_emulate_insn",
    "kvm_mmu_pagetable_walk", "kvm_mmu_paging_element", "kvm_mmu_walker_error", "kvm_cr", "kvm_msr", "kvm_mmio",
    "handle_mmio_page_fault", "vcpu_match_mmio", "kvm_nested_vmenter", "kvm_nested_vmrun", "kvm_nested_vmexit",
    "kvm_nested_vmexit_inject", "kvm_nested_vmenter_failed",
  ]

  private func printFunctions(matching pattern: String) throws {
    let matches = try KernelFunctions().all().filter { name($0.function.name, matches: pattern) }
    guard !matches.isEmpty else { throw Failure("no function matches \(pattern)") }
    let text = matches.map { $0.types.prototype(of: $0.function) + "\n" }.joined()
    _ = StandardOutput.write(Array(text.utf8).span)
  }

  private func name(_ name: String, matches pattern: String) -> Bool {
    // fnmatch reads both texts during the call.
    unsafe fnmatch(pattern, name, 0) == 0
  }

  private func mentionLeftovers() {
    let leftovers = ProbeSession.leftovers()
    guard !leftovers.isEmpty else { return }
    standardError.write(
      "inquest: probes that an earlier inquest left behind: \(leftovers.joined(separator: ", ")); "
        + "inquest probe --remove-leftovers removes them\n")
  }

  private func removeAll() throws {
    let left = try ProbeSession.removeLeftovers()
    guard left.isEmpty else { throw Failure("could not remove \(left.joined(separator: ", "))") }
  }
}
