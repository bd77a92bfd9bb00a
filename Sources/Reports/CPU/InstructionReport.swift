public import QEMU
public import X86

/// `inquest cpu --instruction`: what an instruction needs, and who has it.
public struct InstructionReport: CPUReport {
  /// An instruction as far as this report goes.
  public struct Instruction: Sendable {
    public var text: String
    /// Two hexadecimal digits a byte.
    public var bytes: String
    /// The name of the instruction set.
    public var set: String
    /// The features it needs, one of each group; nil where no feature announces it.
    public var features: [[ProcessorFeature]]?
    public var enables: EnableBits
    public var isPrivileged: Bool

    public init(
      text: String, bytes: String, set: String, features: [[ProcessorFeature]]?, enables: EnableBits, isPrivileged: Bool
    ) {
      self.text = text
      self.bytes = bytes
      self.set = set
      self.features = features
      self.enables = enables
      self.isPrivileged = isPrivileged
    }
  }

  let instruction: Instruction
  let needs: NeedsReport?

  public init(_ instruction: Instruction, table: CPUModelTable, host: HostOffer, selection: CPUSelection?) {
    self.instruction = instruction
    let wanted = (instruction.features ?? []).compactMap(\.first)
    needs =
      wanted.isEmpty
      ? nil : NeedsReport(wanted, table: table, host: host, selection: selection, heading: "Features it needs")
  }

  public func write(to page: inout CPUPage) {
    page.title(instruction.text)
    page.entry("bytes", instruction.bytes)
    page.entry("set", instruction.set)
    page.entry("features", featureWords)
    page.entry("enable", enableWords)
    if instruction.isPrivileged { page.entry("level", "privileged: CPL 0 only") }
    guard let needs else { return }
    page.line("")
    needs.write(to: &page)
  }

  private var featureWords: String {
    guard let features = instruction.features else { return "not known: no feature of the table announces it" }
    if features.isEmpty { return "none: every processor has it" }
    return listed(features.map { $0.map(\.name).joined(separator: " or ") })
  }

  private var enableWords: String {
    let bits = instruction.enables.bits.map(\.words)
    return bits.isEmpty ? "nothing" : bits.joined(separator: ", ")
  }

  public var json: String {
    jsonText(
      Document(
        instruction: instruction.text, bytes: instruction.bytes, instructionSet: instruction.set,
        features: instruction.features.map { $0.map { $0.map(FeatureDocument.init) } },
        enables: instruction.enables.bits.map(\.words), privileged: instruction.isPrivileged))
  }

  private struct Document: Encodable {
    let schema = cpuSchema
    let instruction, bytes, instructionSet: String
    /// One of each group is needed.
    @Null var features: [[FeatureDocument]]?
    let enables: [String]
    let privileged: Bool
  }
}
