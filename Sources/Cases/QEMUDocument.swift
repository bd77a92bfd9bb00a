import Capture
import QEMU
import X86

/// A ``GuestIdentity`` in JSON.
struct QEMUDocument: Codable {
  var major, minor, micro: Int
  var package: String
  var usesKVM: Bool?
  var processors: [Processor]

  struct Processor: Codable {
    var index: Int
    var thread: Int32
    var path: String
    var features: [FeatureWordDocument]?
    /// What was asked for and the accelerator lacks.
    var filtered: [FeatureWordDocument]
    var physicalAddressBits: Int?
    var vendor: String?
    var level: UInt32?
    var extendedLevel: UInt32?
  }

  init(_ identity: GuestIdentity) {
    (major, minor, micro) = (identity.version.major, identity.version.minor, identity.version.micro)
    package = identity.version.package
    usesKVM = identity.usesKVM
    processors = identity.processors.map(Processor.init)
  }

  var identity: GuestIdentity {
    get throws(CaseError) {
      var processors: [GuestIdentity.Processor] = []
      for processor in self.processors { processors.append(try processor.processor) }
      return GuestIdentity(
        version: QEMUVersion(major: major, minor: minor, micro: micro, package: package), usesKVM: usesKVM,
        processors: processors)
    }
  }
}

extension QEMUDocument.Processor {
  fileprivate init(_ processor: GuestIdentity.Processor) {
    index = processor.cpu.index
    thread = processor.cpu.threadID
    path = processor.cpu.path
    features = processor.features.map { .init($0) }
    filtered = .init(processor.filteredFeatures)
    physicalAddressBits = processor.physicalAddressBits
    vendor = processor.vendor
    level = processor.level
    extendedLevel = processor.extendedLevel
  }

  fileprivate var processor: GuestIdentity.Processor {
    get throws(CaseError) {
      var processor = GuestIdentity.Processor(cpu: VirtualCPU(index: index, threadID: thread, path: path))
      processor.features = try features?.report
      processor.filteredFeatures = try filtered.report.features
      processor.physicalAddressBits = try Self.checked(physicalAddressBits)
      processor.vendor = vendor
      processor.level = level
      processor.extendedLevel = extendedLevel
      return processor
    }
  }

  /// A processor has at most 52 bits of physical address (SDM vol. 3A, 4.1.4).
  private static func checked(_ bits: Int?) throws(CaseError) -> Int? {
    guard let bits else { return nil }
    guard (32...52).contains(bits) else {
      throw .malformed(file: CaseFormat.File.document.rawValue, reason: "\(bits) bits of physical address")
    }
    return bits
  }
}
