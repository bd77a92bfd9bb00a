import Dispatch
import Synchronization

/// Work that falls into pieces, done on all cores.
enum Pieces {
  /// A file is cut into pieces of this size, or into so many that a list of them stays short.
  static func size(of byteCount: Int) -> Int { max(1 << 20, byteCount >> 13) }

  /// How many pieces' results are in memory before they are joined.
  private static let atOnce = 256

  /// Does each piece, and hands over the results in the order of the pieces.
  static func forEach<Result: Sendable>(
    _ count: Int, do work: @Sendable (Int) -> Result, join: (Int, Result) -> Void
  ) {
    for start in stride(from: 0, to: count, by: atOnce) {
      let results = Mutex<[Int: Result]>([:])
      DispatchQueue.concurrentPerform(iterations: min(atOnce, count - start)) { index in
        let result = work(start + index)
        results.withLock { $0[start + index] = result }
      }
      let done = results.withLock(\.self)
      for index in start..<min(start + atOnce, count) {
        if let result = done[index] { join(index, result) }
      }
    }
  }
}
