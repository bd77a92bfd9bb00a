import KVM
import QEMU
import X86

extension ReservedBit {
  /// The facts that decide the rule, each with where it came from.
  func decisiveFacts(_ decision: FeatureAccount?, _ scene: Scene) -> [Evidence] {
    var facts: [Evidence] = []
    if case .inferred(_, let condition) = explanation {
      facts.append(
        Evidence("No other rule reserves a bit that is set in the entry, so \(condition.words)", .reenactment))
    }
    if contradictsRules {
      facts.append(
        Evidence(
          "By what is known of the guest's processor no bit of the entry is reserved, and yet it was refused: one of the "
            + "two is not what it seems", .reenactment))
    }
    if let decision, let isOn = decision.isOn {
      facts.append(
        Evidence(
          "pdpe1gb, CPUID 80000001H:EDX[26], is \(isOn ? 1 : 0) for this guest: \(decision.words)", decision.source))
    }
    if violations.contains(where: { $0.rule == .addressAboveMAXPHYADDR }), let bits = scene.maximumPhysicalAddressBits {
      facts.append(Evidence("MAXPHYADDR is \(bits.value) for this guest", bits.source))
    }
    return facts
  }

  /// On what the death hangs besides the entry: which walker refused it, and which would not.
  func circumstances(_ scene: Scene, _ death: RecordedDeath?) -> [Evidence] {
    guard violations.contains(where: { $0.rule == .pageSizeWithoutGiBPages }) else { return [] }
    if let (exit, source) = death?.exit, exit.usesTwoDimensionalPaging {
      return [
        Evidence(
          "The exit (\(exit.reasonName)) shows that EPT or NPT is on: the processor itself accepts the 1 GiB page, and "
            + "KVM's own walk, made to emulate the instruction, does not. KVM does so before Linux 5.14; newer ones go by "
            + "the host's processor", source)
      ]
    }
    guard let tdp = scene.host.usesTwoDimensionalPaging, !tdp.value else { return [] }
    return [
      Evidence(
        "This host's KVM walks the guest's tables itself (shadow paging), by the guest's CPUID. With EPT or NPT, and Linux "
          + "5.14 or newer, it goes by the host's processor, and this guest may live", tdp.source)
    ]
  }
}

extension KVMExit {
  /// Whether the exit is one that only EPT or NPT makes.
  var usesTwoDimensionalPaging: Bool { reasonName.hasPrefix("EPT_") || reasonName == "npf" }
}

extension ReservedBitCondition {
  /// The condition as the end of a sentence.
  var words: String {
    switch self {
    case .withoutGiBPages: "the walker held that the guest's processor has no 1 GiB pages"
    case .maximumPhysicalAddressBits(let bits): "the walker held that MAXPHYADDR is \(bits) or less"
    case .executeDisableNotEnabled: "EFER.NXE was clear"
    case .isAMD: "the walker held that the guest's processor is an AMD one"
    case .fourMiBPageAddressBits(let bits):
      "the walker held that the address of a 4 MiB page has \(bits) bits or fewer"
    }
  }
}
