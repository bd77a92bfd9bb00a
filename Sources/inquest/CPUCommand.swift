import ArgumentParser
import GuestImage
import QEMU
import Reports
import X86

/// `inquest cpu`: CPUID features and CPU models, and what this host can offer.
struct CPUCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cpu",
    abstract: "Tell what a -cpu gives a guest, who decided it, and which -cpu has what a guest needs.",
    discussion: """
      inquest cpu Haswell
      inquest cpu Haswell,+pdpe1gb --needs avx512f
      inquest cpu --compare Haswell host
      inquest cpu --instruction 'c5 f5 ef c0'
      inquest cpu --baseline host-a.txt host-b.txt

      Models are those of the installed QEMU, or else those of the QEMU that Inquest was made with. Features have QEMU's \
      names, Linux's or the manuals'. A processor is a -cpu, host for what this host's KVM offers, or a file: the output of \
      cpuid -r or of inquest cpu host --format json, /proc/cpuinfo, or a KVM trace with kvm_cpuid events. Only the second \
      tells what that host's KVM offers; of the others it is taken to offer what the processor has.
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
    /// The models in the form in which Inquest keeps them.
    case table
  }

  @Argument(help: ArgumentHelp("What -cpu takes, such as Haswell,+pdpe1gb.", valueName: "model"))
  var model: String?

  @Option(help: ArgumentHelp("Who has all these features; separated by commas.", valueName: "features"))
  var needs: String?

  @Option(
    parsing: .upToNextOption, help: ArgumentHelp("In what two processors differ.", valueName: "processor"))
  var compare: [String] = []

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Which -cpu works on all the hosts that these files describe.", valueName: "file"))
  var baseline: [String] = []

  @Option(help: ArgumentHelp("What an instruction needs: its bytes in hexadecimal.", valueName: "bytes"))
  var instruction: String?

  @Option(help: ArgumentHelp("Who has a level's features: x86-64-v1 to -v4.", valueName: "level"))
  var level: String?

  @Option(help: ArgumentHelp("The accelerator, kvm or tcg; by default kvm where it can be used.", valueName: "name"))
  var accel: String?

  @Option(help: ArgumentHelp("The QEMU to ask, or a table that --format table wrote.", valueName: "program"))
  var qemu: String?

  @Option var format: Format = .text

  func validate() throws {
    let questions = [needs != nil, !compare.isEmpty, !baseline.isEmpty, instruction != nil, level != nil]
    if questions.count(where: { $0 }) > 1 {
      throw ValidationError("one of --needs, --compare, --baseline, --instruction and --level at a time")
    }
    if !compare.isEmpty, compare.count != 2 { throw ValidationError("--compare takes two processors: --compare A B") }
    if baseline.count == 1 { throw ValidationError("--baseline takes the files of two hosts or more") }
    if let accel, accel != "kvm", accel != "tcg" { throw ValidationError("--accel takes kvm or tcg, not \(accel)") }
    if let level, MicroarchitectureLevel(name: level) == nil {
      throw ValidationError("--level takes x86-64-v1 to x86-64-v4, not \(level)")
    }
    if needs?.split(separator: ",").isEmpty == true {
      throw ValidationError("--needs takes features: --needs pdpe1gb,avx2")
    }
    if instruction != nil, instructionBytes == nil {
      throw ValidationError("--instruction takes bytes in hexadecimal: --instruction 'c5 f5 ef c0'")
    }
  }

  func run() throws {
    let surroundings = try CPUSurroundings(qemu: qemu, accelerator: accel.map(Accelerator.init(rawValue:)))
    if format == .table {
      standardOutput.write(surroundings.table.text)
    } else if let needs {
      try show(needsReport(try features(needs), surroundings))
    } else if let level = level.flatMap(MicroarchitectureLevel.init(name:)) {
      try show(
        needsReport(level.features, surroundings, heading: "\(level.name) (System V ABI, AMD64 supplement)"))
    } else if let bytes = instructionBytes {
      try show(instructionReport(bytes, surroundings))
    } else if compare.count == 2 {
      try show(ComparisonReport(surroundings.side(compare[0]), surroundings.side(compare[1])))
    } else if !baseline.isEmpty {
      let hosts = try baseline.map { try surroundings.baselineHost($0) }
      try show(BaselineReport(ModelBaseline(hosts, table: surroundings.table), table: surroundings.table))
    } else if let model {
      let processor = try surroundings.processor(CPUSelection(model))
      try show(
        ProcessorReport(
          processor, table: surroundings.table, offerSource: surroundings.offerSource(of: processor.accelerator)))
    } else {
      try show(ModelListReport(table: surroundings.table, host: surroundings.host))
    }
  }

  private func show(_ report: some CPUReport) throws {
    standardOutput.write(format == .json ? report.json : report.text(usesColour: isColourWanted))
  }

  private func needsReport(
    _ features: [ProcessorFeature], _ surroundings: CPUSurroundings, heading: String? = nil
  ) throws -> NeedsReport {
    NeedsReport(
      features, table: surroundings.table, host: surroundings.host, selection: try selection(surroundings),
      heading: heading)
  }

  /// The `-cpu` that was given, checked.
  private func selection(_ surroundings: CPUSurroundings) throws -> CPUSelection? {
    try model.map { try surroundings.processor(CPUSelection($0)).selection }
  }

  /// The features that a person means by names between commas.
  private func features(_ names: String) throws -> [ProcessorFeature] {
    try names.split(separator: ",").flatMap { name in
      // A leading + or - is how -cpu has it.
      let name = name.drop { $0 == "+" || $0 == " " }
      let features = ProcessorFeature.named(String(name))
      if !features.isEmpty { return Array(features.prefix(1)) }
      throw Failure(
        "no feature is called \(name)\(suggestion(String(name), ProcessorFeature.table.flatMap(\.qemuNames)))")
    }
  }

  /// The bytes of `--instruction`, at most fifteen; nil where the text is none.
  private var instructionBytes: [UInt8]? {
    guard let instruction else { return nil }
    let digits = instruction.replacing("0x", with: "").filter { !$0.isWhitespace && $0 != "," && $0 != ":" }
    guard !digits.isEmpty, digits.count.isMultiple(of: 2), digits.allSatisfy(\.isHexDigit) else { return nil }
    let pairs = stride(from: 0, to: digits.count, by: 2).map { digits.dropFirst($0).prefix(2) }
    return pairs.compactMap { UInt8($0, radix: 16) }
  }

  private func instructionReport(_ bytes: [UInt8], _ surroundings: CPUSurroundings) throws -> InstructionReport {
    let decoded: Instruction
    do throws(DecodingError) {
      decoded = try Instruction.decode(bytes, at: 0, mode: .long64)
    } catch {
      throw Failure("\(instruction ?? ""): \(error) (64-bit mode)")
    }
    let digits = decoded.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
    let requirements = decoded.requirements
    return InstructionReport(
      InstructionReport.Instruction(
        text: decoded.text, bytes: digits.joined(separator: " "), set: decoded.isaSet, features: requirements?.features,
        enables: requirements?.enables ?? [], isPrivileged: decoded.isPrivileged),
      table: surroundings.table, host: surroundings.host, selection: try selection(surroundings))
  }
}

/// `; did you mean a or b?`, or nothing where no name is near.
func suggestion(_ name: String, _ names: [String]) -> String {
  let near = namesNear(name, in: names)
  guard let last = near.last else { return "" }
  let all = near.count == 1 ? last : near.dropLast().joined(separator: ", ") + " or " + last
  return "; did you mean \(all)?"
}
