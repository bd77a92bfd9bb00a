import QEMU
import X86

extension Scene {
  /// What gives the guest's processor `feature`, or lets the guest do without it, the surest first.
  ///
  /// - Parameters:
  ///   - purpose: What the feature is for, as the end of "It gives the guest's processor".
  ///   - fallback: How the guest can do without.
  func remedies(offering feature: ProcessorFeature, purpose: String, fallback: Remedy) -> [Remedy] {
    let offer = offer(of: feature)
    guard offer?.value != false else {
      return [
        fallback,
        .host(
          "run the guest on a host whose KVM offers \(feature.name), with -cpu MODEL,+\(feature.name)",
          "No -cpu option helps here: the \(offererName) does not offer the feature (\(offer?.source.description ?? ""))."
        ),
      ]
    }
    return asks(for: feature) ? [fallback] : optionRemedies(for: feature, purpose, offer) + [fallback]
  }

  private var offererName: String { accelerator?.value == .tcg ? "accelerator TCG" : "host's KVM" }

  private func optionRemedies(for feature: ProcessorFeature, _ purpose: String, _ offer: Sourced<Bool>?) -> [Remedy] {
    guard let name = CPUFeatureName(feature) else { return [] }
    let ask =
      offer == nil
      ? " Whether the host can offer it was not asked: with ,enforce added, QEMU refuses to start if it cannot." : ""
    guard let cpu = commandLine?.cpu else {
      return [
        Remedy(
          kind: .commandLine, change: "-cpu MODEL,+\(feature.name)",
          reason: "MODEL being the one in use. It gives the guest's processor \(purpose).\(ask)",
          available: offer?.value)
      ]
    }
    let flag = Remedy.option(
      "-cpu", cpu.turningOn(name).text, "It gives the guest's processor \(purpose).\(ask)", available: offer?.value)
    guard let other = cpu.alternatives(having: [feature]).first else { return [flag] }
    return [
      flag,
      .option(
        "-cpu", "\(other)", "A model that has \(purpose) by itself, and more features that the host must offer.",
        available: nil),
    ]
  }
}
