import Dispatch
import Synchronization

/// Turns the items of a trace into text on all cores, and hands the text over in the order of the trace.
///
/// Reading is quick and must be done in order; making text is slow and need not be. So whichever worker is free takes the
/// next few thousand items out of the trace, one worker at a time, and makes their text on its own. What is in memory
/// at once is a few such batches, whatever the trace's size.
public enum OrderedOutput {
  /// One batch on its way.
  private final class Slot {
    var events: EventBatch
    var text = TextBuffer(capacity: 1 << 18)
    var ticket = 0

    init() throws(TraceFileError) { events = try EventBatch() }
  }

  // Sendable: all that changes is in the two mutexes, and a slot is with one worker, or in one of them.
  private final class State<Source, Printer>: @unchecked Sendable {
    struct Input {
      var source: Source
      var nextTicket = 0
      var isFinished = false
      var free: [Slot]
    }

    struct Output {
      /// The batch whose text comes next, and the batches that are ready before their turn.
      var nextTicket = 0
      var ready: [Int: Slot] = [:]
      var isClosed = false
    }

    // Guarded by the mutexes of the same names.
    var input: Input
    var output = Output()
    let inputLock = Mutex(())
    let outputLock = Mutex(())
    let failure = Mutex<TraceFileError?>(nil)
    let slotIsFree: DispatchSemaphore

    init(_ source: Source, _ slots: [Slot]) {
      input = Input(source: source, free: slots)
      slotIsFree = DispatchSemaphore(value: slots.count)
    }
  }

  /// - Parameters:
  ///   - source: what `read` changes to get the next items.
  ///   - read: fills a batch, in order, on one thread at a time; false when there is nothing more.
  ///   - makePrinter: makes what a worker needs for itself.
  ///   - print: appends the text of a batch.
  ///   - write: takes text in order; false to end everything.
  public static func run<Source, Printer>(
    _ source: Source, workers: Int,
    read: @escaping @Sendable (inout Source, inout EventBatch) throws(TraceFileError) -> Bool,
    makePrinter: @escaping @Sendable () -> Printer,
    print: @escaping @Sendable (inout Printer, borrowing EventBatch, inout TextBuffer) -> Void,
    write: @escaping @Sendable (Span<UInt8>) -> Bool
  ) throws(TraceFileError) {
    let workers = max(workers, 1)
    var slots: [Slot] = []
    for _ in 0..<(workers * 3) { slots.append(try Slot()) }
    let state = State<Source, Printer>(source, slots)
    DispatchQueue.concurrentPerform(iterations: workers) { _ in
      var printer = makePrinter()
      while true {
        state.slotIsFree.wait()
        guard let slot = take(state, read) else {
          state.slotIsFree.signal()
          return
        }
        slot.text.removeAll()
        print(&printer, slot.events, &slot.text)
        give(slot, state, write)
      }
    }
    if let failure = state.failure.withLock(\.self) { throw failure }
  }

  /// The next batch of the trace, in a free slot; nil at the end.
  private static func take<Source, Printer>(
    _ state: State<Source, Printer>,
    _ read: @Sendable (inout Source, inout EventBatch) throws(TraceFileError) -> Bool
  ) -> Slot? {
    let isClosed = state.outputLock.withLock { _ in state.output.isClosed }
    return state.inputLock.withLock { _ in
      guard !isClosed, !state.input.isFinished, let slot = state.input.free.popLast() else { return nil }
      slot.events.removeAll()
      do throws(TraceFileError) {
        state.input.isFinished = try !read(&state.input.source, &slot.events)
      } catch {
        state.input.isFinished = true
        state.failure.withLock { $0 = error }
      }
      slot.ticket = state.input.nextTicket
      state.input.nextTicket += 1
      return slot
    }
  }

  /// Writes the slot's text if it is its turn, and that of the slots that waited for it.
  private static func give<Source, Printer>(
    _ slot: Slot, _ state: State<Source, Printer>, _ write: @Sendable (Span<UInt8>) -> Bool
  ) {
    var written: [Slot] = []
    state.outputLock.withLock { _ in
      state.output.ready[slot.ticket] = slot
      while let next = state.output.ready.removeValue(forKey: state.output.nextTicket) {
        if !state.output.isClosed { state.output.isClosed = !write(next.text.bytes) }
        state.output.nextTicket += 1
        written.append(next)
      }
    }
    state.inputLock.withLock { _ in state.input.free += written }
    for _ in written { state.slotIsFree.signal() }
  }
}
