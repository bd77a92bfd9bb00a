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
    usesTwoDimensionalPaging = kvm.usesTwoDimensionalPaging.map(Sourced.init)
    let processor = LinuxProcessor.current()
    processorHasGiBPages = processor.map { Sourced($0.has(.pdpe1gb), .host(LinuxProcessor.source)) }
    processorIsAMD = processor.map { Sourced($0.isAMD, .host(LinuxProcessor.source)) }
    kvmOffers = kvm.supportedCPUID.map(Self.offers) ?? [:]
    if accelerator == .kvm { offers = kvmOffers }
  }

  private static func offers(_ cpuid: HostFact<CPUID>) -> [CPUFeatureName: Sourced<Bool>] {
    var offers: [CPUFeatureName: Sourced<Bool>] = [:]
    for feature in [ProcessorFeature.pdpe1gb, .nx, .la57] {
      guard let has = cpuid.value.has(feature) else { continue }
      offers[CPUFeatureName(feature.name)] = Sourced(has, .host(cpuid.source))
    }
    return offers
  }
}

extension Sourced where Value: Hashable & Sendable {
  fileprivate init(_ fact: HostFact<Value>) { self.init(fact.value, .host(fact.source)) }
}
