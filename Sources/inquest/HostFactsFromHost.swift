import Capture
import Investigation
import QEMU
import X86

extension HostFacts {
  /// Asks this machine, on which the guest ran.
  ///
  /// - Parameter accelerator: What ran the guest; nil where QEMU did not say.
  init(asking accelerator: Accelerator?) {
    self.init()
    let kvm = HostKVM.current()
    kernelRelease = kvm.kernelRelease.map(Sourced.init)
    vendorModule = kvm.vendorModule.map(Sourced.init)
    usesTwoDimensionalPaging = kvm.usesTwoDimensionalPaging.map(Sourced.init)
    ignoresUnknownMSRs = kvm.ignoresUnknownMSRs.map(Sourced.init)
    let processor = LinuxProcessor.current()
    processorHasGiBPages = processor.map { Sourced($0.has(.pdpe1gb), .host(LinuxProcessor.source)) }
    processorIsAMD = processor.map { Sourced($0.isAMD, .host(LinuxProcessor.source)) }
    kvmOffers = kvm.capabilities.map { capabilities in
      let offer = AcceleratorOffer.kvm(capabilities.value, host: .ofThisProcessor())
      let known = FeatureSet(ProcessorFeature.table.map(\.bit))
      return Sourced(FeatureReport(features: offer.features, known: known), .host(capabilities.source))
    }
    switch accelerator {
    case .kvm: offers = kvmOffers
    case .tcg: offers = Self.offeredByTCG
    default: break
    }
  }

  /// What TCG offers on any host, as far as the installed QEMU is like the one of the shipped table.
  private static var offeredByTCG: Sourced<FeatureReport> {
    let table = CPUModelTable.shipped
    let known = FeatureSet(ProcessorFeature.table.map(\.bit))
    return Sourced(
      FeatureReport(features: AcceleratorOffer.tcg(table).features, known: known),
      .assumed("TCG of QEMU \(table.version)"))
  }
}

extension Sourced where Value: Hashable & Sendable {
  fileprivate init(_ fact: HostFact<Value>) { self.init(fact.value, .host(fact.source)) }
}
