import Files
import FoundationEssentials
import KVM
import Reports
import Traces
import X86

/// A file that describes a processor: recognised by its content.
struct ProcessorFile {
  let name: String
  /// What kind of file it is.
  let source: String
  let features: FeatureReport
  let vendor: String?
  let physicalAddressBits: Int?
  /// Whether the features are what a KVM offers, and not what a processor has.
  let isOffer: Bool

  /// Nil where there is no such file.
  init?(at path: String) throws {
    guard path == "-" || FileManager.default.fileExists(atPath: path) else { return nil }
    let input = try FileInput(fileAt: path)
    name = citedName(path)
    let text = input.memory.bytes.text
    let string = Self.string(text)
    let offer = OfferDocument(string)
    isOffer = offer != nil
    if let offer {
      (source, features) = ("what its KVM offers, by inquest cpu", offer.report)
      (vendor, physicalAddressBits) = (offer.vendor, offer.physicalAddressBits)
    } else if let cpuid = CPUID(dump: string) {
      (source, features) = ("a dump of cpuid -r", FeatureReport(cpuid))
      (vendor, physicalAddressBits) = (cpuid.vendor, cpuid.maximumPhysicalAddressBits)
    } else if let processor = LinuxProcessor(cpuinfo: string) {
      (source, features) = ("the flags of /proc/cpuinfo", processor.features)
      (vendor, physicalAddressBits) = (processor.vendor, processor.physicalAddressBits)
    } else if let cpuid = try Self.traced(input, text) {
      (source, features) = ("kvm_cpuid events of a trace: what the guest was told", FeatureReport(cpuid))
      (vendor, physicalAddressBits) = (cpuid.vendor, cpuid.maximumPhysicalAddressBits)
    } else {
      throw Failure(
        "\(nameOfFile(at: path)): tells of no processor; it must be the output of cpuid -r or of inquest cpu host --format json, /proc/cpuinfo, or a trace with kvm_cpuid events"
      )
    }
  }

  var side: ComparisonReport.Side {
    let bits = physicalAddressBits.map { String($0) } ?? ""
    return ComparisonReport.Side(
      name: name, source: source, features: features,
      facts: [
        ("vendor", vendor ?? ""), ("level", MicroarchitectureLevel.highest(of: features.features)?.name ?? ""),
        ("physical bits", bits),
      ])
  }

  /// As much of the file as a description of a processor can be long.
  private static func string(_ text: Span<UInt8>) -> String {
    var bytes: [UInt8] = []
    for index in 0..<min(text.count, 1 << 20) { bytes.append(text[index]) }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func traced(_ input: FileInput, _ text: Span<UInt8>) throws -> CPUID? {
    guard TraceFile.kind(of: input.memory.bytes) != nil else { return CPUID(KVMTrace(text: text).records) }
    do throws(TraceFileError) {
      return CPUID(try TraceFile(input))
    } catch {
      throw Failure(error.description)
    }
  }
}

/// What `inquest cpu host --format json` writes of a host's KVM, as far as it is read again.
private struct OfferDocument: Decodable {
  var accelerator: String
  var vendor: String?
  var physicalAddressBits: Int?
  var features: [Decision]

  struct Decision: Decodable {
    var feature: Feature
    var isOn: Bool?
  }

  struct Feature: Decodable {
    var bit: String
  }

  /// Nil for anything else.
  init?(_ text: String) {
    guard let document = try? JSONDecoder().decode(Self.self, from: Data(text.utf8)), document.accelerator == "kvm"
    else {
      return nil
    }
    self = document
  }

  var report: FeatureReport {
    let on = Set(features.filter { $0.isOn == true }.map(\.feature.bit))
    let bits = ProcessorFeature.table.map(\.bit)
    return FeatureReport(
      features: FeatureSet(bits.filter { on.contains($0.description) }), known: FeatureSet(bits))
  }
}
