import Capture
import FoundationEssentials
import KVM
import QEMU
import Reports
import Traces
import X86

/// What the questions of `inquest cpu` are asked of: a QEMU's models, and this host.
struct CPUSurroundings {
  let table: CPUModelTable
  let host: HostOffer
  private let accelerator: Accelerator?

  /// - Parameters:
  ///   - qemu: A program, or a file with a table; nil for the QEMU that is installed, or else the table shipped.
  ///   - accelerator: nil for KVM where it can be used, and else TCG.
  init(qemu: String?, accelerator: Accelerator?) throws {
    table = try Self.table(qemu)
    host = HostOffer.ofThisMachine
    self.accelerator = accelerator
  }

  private static func table(_ qemu: String?) throws -> CPUModelTable {
    if let qemu, let text = try? String(contentsOfFile: qemu, encoding: .utf8), text.hasPrefix("qemu ") {
      do {
        return try CPUModelTable(text)
      } catch {
        throw Failure("\(qemu): \(error)")
      }
    }
    do {
      return try CPUModelTable.installed(qemu ?? "qemu-system-x86_64")
    } catch {
      if qemu != nil { throw Failure(error.description) }
      standardError.write(
        "inquest: \(error); the models are those of QEMU \(CPUModelTable.shipped.version), which Inquest ships\n")
      return .shipped
    }
  }

  /// What the accelerator offers; nil where it is KVM and cannot be used.
  private func offer(of accelerator: Accelerator) -> AcceleratorOffer? {
    accelerator == .tcg ? .tcg(table) : host.kvm
  }

  func offerSource(of accelerator: Accelerator) -> String? {
    accelerator == .tcg ? "the list of QEMU \(table.version)'s TCG" : host.kvm.map { _ in host.source }
  }

  private var usedAccelerator: Accelerator { accelerator ?? (host.kvm == nil ? .tcg : .kvm) }

  /// The processor that a `-cpu` gives.
  func processor(_ selection: CPUSelection) throws -> GuestProcessor {
    let accelerator = selection.model == "host" ? self.accelerator ?? .kvm : usedAccelerator
    try checkChanges(of: selection)
    let processor: GuestProcessor
    do throws(CPUSelectionError) {
      processor = try GuestProcessor(selection, accelerator: accelerator, offer: offer(of: accelerator), table: table)
    } catch {
      switch error {
      case .unknownModel(let name):
        throw Failure(
          "QEMU \(table.version) has no CPU model \(name)\(suggestion(name, table.names + ["host", "max"]))")
      case .needsKVM(let model): throw Failure("-cpu \(model) needs KVM; max is what TCG offers")
      }
    }
    guard processor.isComplete else { throw Failure("-cpu \(selection.model) is what KVM offers, and \(host.source)") }
    return processor
  }

  /// QEMU refuses what it has no name for. What is given a number or a text is a setting, of which QEMU has many; what is
  /// turned on or off is a feature or one of a few settings.
  private func checkChanges(of selection: CPUSelection) throws {
    for change in selection.changes where change.isSwitch {
      let name = change.name.rawValue
      let known = change.name.bits.contains { table.knownFeatures[$0] } || settings.contains(name)
      if known || name.hasPrefix("hv-") || name.hasPrefix("x-") { continue }
      let names = table.knownFeatures.features.flatMap(\.qemuNames)
      throw Failure(
        "QEMU \(table.version) has no CPU feature \(change.name.rawValue)\(suggestion(change.name.rawValue, names))")
    }
  }

  private let settings: Set<String> = [
    "check", "enforce", "kvm", "pmu", "migratable", "host-phys-bits", "l3-cache", "legacy-cache", "lmce", "tcg-cpuid",
    "cpuid-0xb", "full-cpuid-auto-level", "fill-mtrr-mask", "host-cache-info", "vmware-cpuid-freq",
    "kvm-pv-enforce-cpuid", "kvm-no-smi-migration", "start-powered-off",
  ]

  /// One side of a comparison: a `-cpu`, `host`, or a file.
  func side(_ name: String) throws -> ComparisonReport.Side {
    if let description = try ProcessorFile(at: name) { return description.side }
    if name == "host" { return try hostSide() }
    let processor = try processor(CPUSelection(name))
    let features = processor.features.union(processor.filteredFeatures)
    let signature = processor.signature.map { "\($0.family)/\($0.model)/\($0.stepping)" } ?? ""
    return ComparisonReport.Side(
      name: name, source: "the model of QEMU \(table.version), before an accelerator takes anything away",
      features: FeatureReport(features: features, known: table.knownFeatures.processorsOwn),
      facts: [
        ("vendor", processor.model?.vendor ?? processor.vendor ?? ""), ("family/model/step", signature),
        ("level", MicroarchitectureLevel.highest(of: features)?.name ?? ""),
        ("physical bits", processor.physicalAddressBits.map { String($0.value) } ?? ""),
      ])
  }

  private func hostSide() throws -> ComparisonReport.Side {
    guard let kvm = host.kvm else {
      guard let processor = host.processor else { throw Failure("nothing is known of this host: \(host.source)") }
      return ComparisonReport.Side(
        name: "host", source: "this processor's CPUID; \(host.source)", features: processor, facts: [])
    }
    let signature = kvm.signature.map { "\($0.family)/\($0.model)/\($0.stepping)" } ?? ""
    return ComparisonReport.Side(
      name: "host", source: "what KVM offers: \(host.source)",
      features: FeatureReport(features: kvm.features, known: table.knownFeatures),
      facts: [
        ("vendor", kvm.vendor ?? ""), ("family/model/step", signature),
        ("level", MicroarchitectureLevel.highest(of: kvm.features)?.name ?? ""),
        ("physical bits", kvm.physicalAddressBits.map { String($0) } ?? ""),
      ])
  }

  /// A host of a baseline, from a file or, as `host`, this one.
  func baselineHost(_ name: String) throws -> ModelBaseline.Host {
    if name == "host", let kvm = host.kvm {
      return ModelBaseline.Host(name: name, vendor: kvm.vendor ?? "", features: kvm.features)
    }
    guard let description = try ProcessorFile(at: name) else { throw Failure("there is no file \(name)") }
    return ModelBaseline.Host(
      name: description.name, vendor: description.vendor ?? "",
      features: description.isOffer
        ? description.features.features : AcceleratorOffer.expectedKVM(on: description.features))
  }
}

extension HostOffer {
  /// What this machine's KVM and processor have.
  static var ofThisMachine: HostOffer {
    let kvm = HostKVM.current()
    let cpuid = CPUID.ofThisProcessor()
    let reason: String? =
      switch kvm.device {
      case .usable: kvm.capabilities == nil ? "/dev/kvm does not tell what it supports" : nil
      case .absent: "there is no /dev/kvm"
      case .forbidden: "this user may not open /dev/kvm"
      case .unusable(let errno): "/dev/kvm cannot be used (errno \(errno))"
      }
    return HostOffer(
      kvm: kvm.capabilities.map { .kvm($0.value, host: cpuid) }, source: reason ?? kvm.capabilities?.source ?? "",
      processor: FeatureReport(cpuid))
  }
}
