import Capture
import FoundationEssentials
import Investigation
import QEMU
import X86

/// `case.json`: what is known of the run, but for what has a file of its own.
struct CaseDocument: Codable {
  /// What is read first, and of which a later format has at least this.
  struct Version: Decodable {
    var format: Int
  }

  var format = CaseFormat.version
  var inquest: String
  var created: String
  var isRedacted: Bool
  var commandLine: CommandLine
  var ending: EndingDocument
  var shutdownCause: String?
  /// By what QEMU was asked, where not over QMP.
  var askedOver: String?
  var qemu: QEMUDocument?
  var logsTripleFaults: Bool
  var secondRunWentOn: Bool?
  var trace: TraceDocument
  var memory: Case.MemoryExtent
  var image: ImageDocument?
  var kernelFile: KernelFileDocument?
  var host: HostDocument

  struct CommandLine: Codable {
    var program: String
    var arguments: [String]
  }

  struct TraceDocument: Codable {
    /// `recorded`, `not wanted` or `refused`.
    var state: String
    /// Why it was refused, or why these events were chosen.
    var reason: String?
    /// What would have granted it, where it was refused.
    var remedy: String?
    /// Why the registers that KVM clears at a triple fault were not kept, and what would have kept them.
    var registersLack: String?
    var registersRemedy: String?
    /// How many events were met, and how many of them the kernel could not write down.
    var met: UInt64?
    var dropped: UInt64?
    /// Whether `trace.dat` does not show where all of those were.
    var hasUnplacedLosses: Bool?
  }

  struct ImageDocument: Codable {
    var name: String
    var identity: ImageIdentity
    var isIncluded: Bool
  }
}

extension CaseDocument {
  init(_ record: Case) {
    inquest = record.inquestVersion
    created = record.created
    isRedacted = record.isRedacted
    commandLine = CommandLine(program: record.commandLine.program, arguments: record.commandLine.arguments)
    ending = EndingDocument(record.scene.ending)
    shutdownCause = record.scene.shutdownCause?.rawValue
    askedOver = record.scene.askedOver == GuestScene.usualDoor ? nil : record.scene.askedOver
    qemu = record.scene.identity.map(QEMUDocument.init)
    logsTripleFaults = record.scene.logsTripleFaults
    secondRunWentOn = record.scene.secondRun?.wentOn
    trace = TraceDocument(record.scene.recording)
    memory = record.memory
    image = record.image.map {
      ImageDocument(name: $0.name, identity: $0.identity, isIncluded: $0.contents != nil)
    }
    kernelFile = record.scene.kernelFile.map(KernelFileDocument.init)
    host = HostDocument(record.host)
    host.kvmParameters = record.kvmParameters
    host.processorVendor = record.processorVendor
  }

  var json: [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
    // Encoding strings, integers, booleans and null has no way to fail.
    return Array((try? encoder.encode(self)) ?? Data()) + [UInt8(ascii: "\n")]
  }

  init(json: [UInt8]) throws(CaseError) {
    let file = CaseFormat.File.document.rawValue
    do {
      let version = try JSONDecoder().decode(Version.self, from: Data(json)).format
      guard version <= CaseFormat.version else { throw CaseError.laterFormat(version) }
      self = try JSONDecoder().decode(Self.self, from: Data(json))
    } catch let error as CaseError {
      throw error
    } catch let error as DecodingError {
      throw .malformed(file: file, reason: error.words)
    } catch {
      throw .malformed(file: file, reason: "not JSON")
    }
  }
}

extension CaseDocument.TraceDocument {
  init(_ recording: KVMRecording) {
    switch recording {
    case .recorded(let recording):
      state = "recorded"
      reason = recording.account.choice.reason
      met = recording.account.met
      dropped = recording.account.dropped
      hasUnplacedLosses = recording.account.hasUnplacedLosses
      registersLack = recording.account.lostRegisters?.lack
      registersRemedy = recording.account.lostRegisters?.remedy
    case .notWanted: state = "not wanted"
    case .refused(let refusal):
      state = "refused"
      reason = refusal.lack
      remedy = refusal.remedy
    }
  }
}

extension DecodingError {
  /// Where and what, in a line.
  fileprivate var words: String {
    let context: Context? =
      switch self {
      case .dataCorrupted(let context), .keyNotFound(_, let context), .typeMismatch(_, let context),
        .valueNotFound(_, let context):
        context
      @unknown default: nil
      }
    guard let context else { return "not what the format says" }
    let path = context.codingPath.map(\.stringValue).joined(separator: ".")
    let words = context.debugDescription
    return path.isEmpty ? words : "\(path): \(words)"
  }
}
