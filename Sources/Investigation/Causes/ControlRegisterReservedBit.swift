import X86

/// `cpu.control-register-reserved-bit`: a system register was to take a value that it cannot have.
struct ControlRegisterReservedBit: CauseOfDeath {
  static let id = "cpu.control-register-reserved-bit"
  static let title = "A control register cannot take the value"

  private let fault: FirstFault
  private let scene: Scene
  private let write: RefusedRegisterWrite

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .registerWrite(let write) = fault.exception.reason else { return nil }
    self.fault = fault
    self.scene = scene
    self.write = write
  }

  private var feature: ProcessorFeature? {
    if case .missingFeature(let features) = write.rule { features.first } else { nil }
  }

  var summary: String {
    let beginning = "\(fault.instructionName) writes \(write.value.hexadecimal) to \(write.register)"
    let bits = bitNames(write.bits)
    switch write.rule {
    case .missingFeature:
      guard let feature else { return beginning }
      return
        "\(beginning). \(bits.capitalisedFirst) is reserved on a processor without \(feature.manualName), \(feature.bit) "
        + "(\(feature.name)), as this guest's is, \(scene.decision(on: feature).words): #GP."
    case .reserved: return "\(beginning), and \(bits) must be zero on every processor: #GP."
    case .combination(let rule): return "\(beginning), and \(rule): #GP."
    }
  }

  var remedies: [Remedy] {
    let name = "\(bitNames(write.bits)) of \(write.register)"
    switch write.rule {
    case .missingFeature:
      guard let feature else { return [] }
      return scene.remedies(
        offering: feature, purpose: feature.manualName,
        fallback: .guest(
          "set \(name) only where CPUID has \(feature.manualName), \(feature.bit)",
          "The guest then runs on every processor."))
    case .reserved:
      return [.guest("leave \(name) clear", "They mean nothing on any processor, and writing them is refused.")]
    case .combination(let rule):
      return [.guest("change what contradicts \(name) first", "\(rule.capitalisedFirst).")]
    }
  }

  var evidence: [Evidence] { feature.map { [scene.evidence(of: $0)] } ?? [] }
}
