import Synchronization

/// The name of a thread at some time, kept as a small number. `TaskNames` gives the text.
public struct TaskName: Hashable, Sendable {
  let index: Int32

  /// No name was recorded.
  public static let unknown = TaskName(index: -1)
}

/// The names of threads that a trace tells of. Grows while a perf.data is read, since threads change their names.
public final class TaskNames: Sendable {
  private struct State {
    var names: [String] = []
    var indexes: [String: Int32] = [:]
  }

  private let state = Mutex(State())

  init() {}

  /// The text of a name; nil for `TaskName.unknown`.
  public func text(of name: TaskName) -> String? {
    guard name.index >= 0 else { return nil }
    return state.withLock { state in
      let index = Int(name.index)
      return index < state.names.count ? state.names[index] : nil
    }
  }

  func name(for text: String) -> TaskName {
    state.withLock { state in
      if let index = state.indexes[text] { return TaskName(index: index) }
      let index = Int32(truncatingIfNeeded: state.names.count)
      state.names.append(text)
      state.indexes[text] = index
      return TaskName(index: index)
    }
  }
}

/// Which thread has which name now, with the last answers at hand: nearly all events are of a few threads.
struct TaskTable {
  private var names: [Int32: TaskName] = [:]
  private var recent = [(threadID: Int32, name: TaskName)](repeating: (-1, .unknown), count: 64)

  subscript(threadID: Int32) -> TaskName {
    mutating get {
      let slot = Int(truncatingIfNeeded: threadID & 63)
      let entry = recent[slot]
      if entry.threadID == threadID { return entry.name }
      let name = names[threadID] ?? .unknown
      if threadID >= 0 { recent[slot] = (threadID, name) }
      return name
    }
    set {
      names[threadID] = newValue
      recent[Int(truncatingIfNeeded: threadID & 63)] = (-1, .unknown)
    }
  }

  /// Adds what tracefs `saved_cmdlines` holds: lines `PID NAME`.
  mutating func add(commandLines text: [UInt8], to texts: TaskNames) {
    var cursor = TextCursor(text.span)
    while !cursor.isAtEnd {
      cursor.skipBlanks()
      let threadID = cursor.takeSignedDecimal().flatMap(Int32.init(exactly:))
      cursor.skipBlanks()
      let start = cursor.offset
      if !cursor.skip(upTo: UInt8(ascii: "\n")) { cursor.move(to: cursor.text.count) }
      if let threadID {
        self[threadID] = texts.name(for: cursor.text.extracting(start..<cursor.offset).trimmed.string)
      }
      cursor.skipByte()
    }
  }
}
