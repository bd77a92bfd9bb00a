import Capture
import FoundationEssentials

/// A ``GuestSample`` in JSON.
struct SampleDocument: Codable {
  var registers: String
  var interruptControllers: String
  /// Not there in cases of earlier versions.
  var localAPICs: String?

  static func json(of samples: [GuestSample]) -> [UInt8] {
    let documents = samples.map {
      SampleDocument(registers: $0.registers, interruptControllers: $0.interruptControllers, localAPICs: $0.localAPICs)
    }
    // Encoding strings has no way to fail.
    return Array((try? JSONEncoder().encode(documents)) ?? Data("[]".utf8))
  }

  static func samples(json: [UInt8]) throws(CaseError) -> [GuestSample] {
    let documents: [SampleDocument]
    do {
      documents = try JSONDecoder().decode([SampleDocument].self, from: Data(json))
    } catch {
      throw .malformed(file: CaseFormat.File.samples.rawValue, reason: "it is no list of samples")
    }
    return documents.map {
      GuestSample(
        registers: $0.registers, interruptControllers: $0.interruptControllers, localAPICs: $0.localAPICs ?? "")
    }
  }
}
