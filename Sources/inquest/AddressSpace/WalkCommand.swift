import ArgumentParser
import Investigation
import Reports
import X86

/// `inquest walk ADDRESS`: one address through the page tables.
struct WalkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "walk",
    abstract: "Walk one address through the guest's page tables, every check shown.",
    discussion: """
      inquest walk ffffffff81000000 guest.core
      inquest walk b8000 --write --qmp /run/guest.qmp --as kvm-6.1 --as tcg
      inquest walk 133025 --fetch --memory ram.bin --cr3 bf8000 --cpu Haswell --as all

      The registers and the memory come from a dump (dump-guest-memory), from a guest that runs (--qmp, --gdb), or from \
      files and options. Without --as the rules are those of the guest's own accelerator and CPUID, as far as they are known.

      Exit status: 0 the access is allowed, 3 it is refused, 4 what is known does not tell.
      """)

  @Argument(help: "A linear address, hexadecimal.")
  var address: HexadecimalArgument

  @OptionGroup var guest: GuestOptions
  @OptionGroup var options: AddressSpaceOptions
  @OptionGroup var output: OutputOptions

  @Flag(help: "The access is a write instead of a read.")
  var write = false

  @Flag(help: "The access is an instruction fetch.")
  var fetch = false

  @Flag(help: "The access is user mode's.")
  var user = false

  @Option(name: .customLong("as"), help: WalkerArgument.help)
  var walkers: [WalkerArgument] = []

  func validate() throws {
    try output.requireTextOrJSON()
    if write && fetch { throw ValidationError("--write and --fetch exclude each other") }
  }

  func run() throws {
    let access = PageAccess(write ? .write : fetch ? .fetch : .read, by: user ? .user : .supervisor)
    let address = LinearAddress(address.value)
    let outcome = try guest.withScene { scene in
      let walkers = walkers.walkers
      let space = try options.addressSpace(of: scene, by: walkers.first)
      let walk = space.paging.walk(address, for: access, in: space.memory)
      let report = WalkReport(
        WalkExplanation(walk), by: space.walker, registers: space.registers,
        opinions: opinions(space, walkers, address, access))
      try output.write(text: { report.text(usesColour: $0) }, json: { report.json() })
      return walk.judgement
    }
    switch outcome {
    case .accepted: return
    case .refused: throw ExitCode(3)
    case .undecided: throw ExitCode(4)
    }
  }

  /// The walkers that were asked for besides the first; where none was, all of them if they are divided.
  private func opinions(
    _ space: AddressSpace, _ asked: [Walker], _ address: LinearAddress, _ access: PageAccess
  ) -> [WalkerOpinions<PageWalk>.Opinion] {
    if !asked.isEmpty { return space.opinions(of: Array(asked.dropFirst()), on: address, for: access).opinions }
    let all = space.opinions(of: Walker.representative, on: address, for: access)
    return all.areDivided ? all.opinions : []
  }
}
