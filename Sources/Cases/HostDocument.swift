import Investigation
import X86

/// ``HostFacts`` in JSON, each fact with where it came from, and what else of the host a colleague may want to know.
struct HostDocument: Codable {
  var kernelRelease: Fact<String>?
  var vendorModule: Fact<String>?
  var usesTwoDimensionalPaging: Fact<Bool>?
  var processorHasGiBPages: Fact<Bool>?
  var processorIsAMD: Fact<Bool>?
  var ignoresUnknownMSRs: Fact<Bool>?
  var offers: Fact<[FeatureWordDocument]>?
  var kvmOffers: Fact<[FeatureWordDocument]>?
  var kvmParameters: [String: [String: String]] = [:]
  var processorVendor: String?

  struct Fact<Value: Codable>: Codable {
    var value: Value
    /// What was asked on the host, or what was assumed.
    var source: String
    var isAssumed: Bool
  }

  init(_ host: HostFacts) {
    kernelRelease = host.kernelRelease.map { Fact($0.value, $0.source) }
    vendorModule = host.vendorModule.map { Fact($0.value, $0.source) }
    usesTwoDimensionalPaging = host.usesTwoDimensionalPaging.map { Fact($0.value, $0.source) }
    processorHasGiBPages = host.processorHasGiBPages.map { Fact($0.value, $0.source) }
    processorIsAMD = host.processorIsAMD.map { Fact($0.value, $0.source) }
    ignoresUnknownMSRs = host.ignoresUnknownMSRs.map { Fact($0.value, $0.source) }
    offers = host.offers.map { Fact(.init($0.value), $0.source) }
    kvmOffers = host.kvmOffers.map { Fact(.init($0.value), $0.source) }
  }

  var facts: HostFacts {
    get throws(CaseError) {
      var facts = HostFacts()
      facts.kernelRelease = kernelRelease.map { Sourced($0.value, $0.origin) }
      facts.vendorModule = vendorModule.map { Sourced($0.value, $0.origin) }
      facts.usesTwoDimensionalPaging = usesTwoDimensionalPaging.map { Sourced($0.value, $0.origin) }
      facts.processorHasGiBPages = processorHasGiBPages.map { Sourced($0.value, $0.origin) }
      facts.processorIsAMD = processorIsAMD.map { Sourced($0.value, $0.origin) }
      facts.ignoresUnknownMSRs = ignoresUnknownMSRs.map { Sourced($0.value, $0.origin) }
      if let offers { facts.offers = Sourced(try offers.value.report, offers.origin) }
      if let kvmOffers { facts.kvmOffers = Sourced(try kvmOffers.value.report, kvmOffers.origin) }
      return facts
    }
  }
}

extension HostDocument.Fact {
  fileprivate init(_ value: Value, _ source: Source) {
    self.value = value
    switch source {
    case .host(let question): (self.source, isAssumed) = (question, false)
    case .assumed(let what): (self.source, isAssumed) = (what, true)
    default: (self.source, isAssumed) = (source.description, false)
    }
  }

  fileprivate var origin: Source { isAssumed ? .assumed(source) : .host(source) }
}
