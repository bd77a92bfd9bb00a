import ArgumentParser
import FoundationEssentials
import Glibc
import Investigation
import Reports
import X86

/// `inquest map`: a whole address space.
struct MapCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "map",
    abstract: "Show the guest's whole address space, and the trouble in it.",
    discussion: """
      inquest map guest.core
      inquest map --qmp /run/guest.qmp --as kvm-5.10
      inquest map guest.core --physical 1fe0000
      inquest map before.core --diff after.core

      A line for each range of pages that differ in nothing: linear addresses, size, page size, rights (r, w, x; u for user \
      mode, s for the supervisor alone; G for global), memory type and physical address. Behind them the trouble: reserved \
      bits, tables outside memory or writable to user mode, pages both writable and executable, pages that are part memory \
      and part device, self-maps.
      """)

  @OptionGroup var guest: GuestOptions
  @OptionGroup var options: AddressSpaceOptions
  @OptionGroup var output: OutputOptions

  @Option(name: .customLong("as"), help: WalkerArgument.help)
  var walker: WalkerArgument?

  @Option(help: ArgumentHelp("Show the linear addresses that lead to this physical one.", valueName: "hex"))
  var physical: HexadecimalArgument?

  @Option(help: ArgumentHelp("Show how the address space in this later dump differs.", valueName: "file"))
  var diff: String?

  @Option(
    help: ArgumentHelp(
      "Show how the address space differs after this time; needs --qmp or --gdb.", valueName: "seconds"))
  var diffAfter: Double?

  @Option(help: ArgumentHelp("IA32_PAT, for the memory types; by default as a reset leaves it.", valueName: "hex"))
  var pat: HexadecimalArgument?

  @Flag(inversion: .prefixedNo, help: "Show the holes between the ranges.")
  var holes = true

  @Flag(help: "Show the trouble only.")
  var trouble = false

  func validate() throws {
    try output.requireTextOrJSON()
    if diff != nil && diffAfter != nil { throw ValidationError("--diff and --diff-after exclude each other") }
    if physical != nil && (diff ?? diffAfter.map { "\($0)" }) != nil {
      throw ValidationError("--physical and --diff exclude each other")
    }
    if let diffAfter, !(diffAfter > 0 && diffAfter < 1e6) {
      throw ValidationError("--diff-after takes a number of seconds")
    }
    if diffAfter != nil && !guest.isLive { throw ValidationError("--diff-after needs --qmp or --gdb") }
    if case .all = walker { throw ValidationError("map shows one walker's view; name it") }
  }

  func run() throws {
    if let diff { return try compare(ranges(guest), with: ranges(guest.with(files: [diff]))) }
    if let diffAfter {
      let before = try ranges(guest)
      sleep(UInt32(diffAfter))
      usleep(UInt32(diffAfter.truncatingRemainder(dividingBy: 1) * 1e6))
      return try compare(before, with: ranges(guest))
    }
    try guest.withScene { scene in
      let space = try space(scene)
      if let physical { return try lookUp(PhysicalAddress(physical.value), space) }
      try show(space)
    }
  }

  private func space(_ scene: Scene) throws -> AddressSpace {
    try options.addressSpace(of: scene, by: walker.map { [$0].walkers }?.first)
  }

  // MARK: All of it

  private func show(_ space: AddressSpace) throws {
    let stream = ResultStream(output)
    var report = MapReport(output.format == .json ? .json : .text(usesColour: output.usesColour))
    report.showsHoles = holes
    if let pat { report.memoryTypes = PageAttributeTable(rawValue: pat.value) }
    stream.write(report.head(space.paging, registers: space.registers))
    let survey = AddressSpaceSurvey(of: space.paging, in: space.memory, layout: space.layout) { range in
      if !trouble { report.withLines(of: range) { stream.write($0) } }
    }
    stream.write(report.tail(survey))
    try stream.finish()
  }

  // MARK: One physical address

  private func lookUp(_ physical: PhysicalAddress, _ space: AddressSpace) throws {
    var found: [MappedRange] = []
    _ = AddressSpaceSurvey(of: space.paging, in: space.memory) { range in
      guard let address = range.linearAddress(of: physical) else { return }
      var range = range
      range.start = address
      found.append(range)
    }
    let report = ReverseReport(physical: physical, found: found)
    try output.write(text: { _ in report.text() }, json: { report.json() })
    if found.isEmpty { throw ExitCode(3) }
  }

  // MARK: Two of them

  private func ranges(_ guest: GuestOptions) throws -> [MappedRange] {
    try guest.withScene { scene in
      let space = try space(scene)
      var ranges: [MappedRange] = []
      _ = AddressSpaceSurvey(of: space.paging, in: space.memory) { ranges.append($0) }
      return ranges
    }
  }

  private func compare(_ before: [MappedRange], with after: [MappedRange]) throws {
    let difference = AddressSpaceDifference(from: before, to: after)
    let report = MapDifferenceReport()
    try output.write(text: { _ in report.text(of: difference) }, json: { report.json(of: difference) })
  }
}
