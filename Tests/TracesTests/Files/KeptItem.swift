import FileBuilding
import Files
import SystemPackage

@testable import Traces

/// An item of a trace, kept.
enum KeptItem: Equatable {
  case event(time: UInt64, cpu: Int, threadID: Int32, name: String?, task: String?, payload: [UInt8])
  case lost(UInt64?, cpu: Int?)
  case damage(TraceDamage.Problem)

  init(_ item: borrowing TraceItem, _ context: TraceContext) {
    switch item {
    case .event(let event):
      self = .event(
        time: event.time, cpu: event.cpu, threadID: event.threadID, name: event.event.map { context.events[$0].name },
        task: context.taskNames.text(of: event.taskName), payload: event.payload.copied)
    case .lost(let lost, _, _): self = .lost(lost.count, cpu: lost.cpu)
    case .damage(let damage): self = .damage(damage.problem)
    }
  }

  /// The same without the thread's name.
  var withoutTask: KeptItem {
    guard case .event(let time, let cpu, let threadID, let name, _, let payload) = self else { return self }
    return .event(time: time, cpu: cpu, threadID: threadID, name: name, task: nil, payload: payload)
  }
}

extension TraceFile {
  /// A file of these bytes; in memory unless it must be decompressed first.
  init(bytes: [UInt8]) throws {
    let memory = try MappedMemory.holding(bytes)
    guard FileCompression(memory.bytes) == nil else {
      let file = try ScratchFile(bytes)
      try self.init(path: file.path)
      return
    }
    try self.init(FileInput(memory: memory, problem: nil))
  }

  func kept(_ cursor: TraceCursor? = nil) -> [KeptItem] {
    var items: [KeptItem] = []
    var cursor = cursor ?? self.cursor()
    let context = context
    cursor.forEach { item in
      items.append(KeptItem(item, context))
      return .proceed
    }
    return items
  }

  func times(_ cursor: TraceCursor? = nil) -> [UInt64] {
    kept(cursor).compactMap { if case .event(let time, _, _, _, _, _) = $0 { time } else { nil } }
  }
}

/// An event's `format` text with the usual common fields, and one u64 `value` after them.
func formatText(_ name: String, id: Int) -> [UInt8] {
  Array(
    """
    name: \(name)
    ID: \(id)
    format:
    \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
    \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
    \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
    \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

    \tfield:u64 value;\toffset:8;\tsize:8;\tsigned:0;

    print fmt: "value %llu", REC->value

    """.utf8)
}

/// A record of such an event.
func record(_ type: UInt16 = 300, threadID: UInt32 = 42, value: UInt64, _ byteOrder: ByteOrder = .littleEndian)
  -> [UInt8]
{
  var builder = ByteBuilder(byteOrder)
  builder.integer(type)
  builder.integer(UInt16(0))
  builder.integer(threadID)
  builder.integer(value)
  return builder.bytes
}
