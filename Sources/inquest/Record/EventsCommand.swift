import ArgumentParser
import Capture
import FoundationEssentials
import KVM
import Reports

/// `inquest events`: which tracepoints there are, and what they tell.
struct EventsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract: "List this kernel's tracepoints of KVM, and what each means.",
    discussion: """
      inquest events
      inquest events 'kvm_nested_*'
      inquest events 'sched:*'

      Where tracefs cannot be read, or KVM is not there, the known events of kvm and kvmmmu are listed all the same.
      """)

  @Argument(help: ArgumentHelp("[SYSTEM:]NAME, with * and ?; kvm and kvmmmu unless told otherwise.", valueName: "glob"))
  var pattern: String?

  @OptionGroup var output: OutputOptions

  func run() throws {
    let entries = try entries()
    try output.write(text: { _ in Self.text(of: entries) }, json: { Self.json(of: entries) })
  }

  /// An event that is there, or that is known.
  private struct Entry: Encodable {
    let system, name: String
    let meaning: String?
    /// Nil where this kernel could not be asked.
    let isHere: Bool?
    let fields: [String]
  }

  private func entries() throws -> [Entry] {
    let selectors = try selectors()
    let (here, isKnown) = tracepoints(selectors)
    var entries = here.map { tracepoint in
      Entry(
        system: tracepoint.system, name: tracepoint.name,
        meaning: TracepointMeanings.meaning(of: tracepoint.name, in: tracepoint.system), isHere: true,
        fields: tracepoint.fields)
    }
    if here.isEmpty {
      entries = TracepointMeanings.all.filter { event in selectors.contains { $0.takes(event.name, of: event.system) } }
        .map {
          Entry(system: $0.system, name: $0.name, meaning: $0.meaning, isHere: isKnown ? false : nil, fields: [])
        }
    }
    guard !entries.isEmpty else { throw Failure("no tracepoint matches \(pattern ?? "kvm:*")") }
    return entries
  }

  private func selectors() throws -> [TracepointSelector] {
    guard let pattern else { return ["kvm", "kvmmmu"].map { TracepointSelector(system: $0, name: "*") } }
    return [try RecorderOptions.selector(pattern)]
  }

  /// The events of this kernel, and whether it could be asked; says what is missing.
  private func tracepoints(_ selectors: [TracepointSelector]) -> (here: [Tracepoint], isKnown: Bool) {
    do throws(RecordingRefusal) {
      return (try TracepointList(selectors).tracepoints, true)
    } catch .noTracepoints {
      if HostKVM.current().vendorModule == nil {
        standardError.write("inquest: KVM is not loaded here, so its tracepoints are not there: sudo modprobe kvm\n")
      }
      return ([], true)
    } catch {
      let remedy = error.remedy.map { "; \($0)" } ?? ""
      standardError.write("inquest: which events this kernel has cannot be told: \(error.lack)\(remedy)\n")
      return ([], false)
    }
  }

  private static func text(of entries: [Entry]) -> String {
    let width = entries.map { $0.system.count + $0.name.count + 1 }.max() ?? 0
    return entries.map { entry in
      let name = "\(entry.system):\(entry.name)"
      let note = entry.isHere == false ? " [not in this kernel]" : ""
      let meaning = entry.meaning ?? entry.fields.joined(separator: ", ")
      return name + String(repeating: " ", count: width - name.count) + "  " + meaning + note + "\n"
    }.joined()
  }

  private static func json(of entries: [Entry]) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
    // Encoding strings and booleans has no way to fail.
    let data = (try? encoder.encode(["events": entries])) ?? Data()
    return String(decoding: data, as: UTF8.self) + "\n"
  }
}
