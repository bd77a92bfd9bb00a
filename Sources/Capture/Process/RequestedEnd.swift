import Glibc

/// How a command is ended when a signal asks this process to end.
///
/// The terminal sends SIGINT to the command as well, which then has time to end by itself.
struct RequestedEnd {
  private var steps: ArraySlice<(time: ContinuousClock.Instant, signal: Int32)> = []

  mutating func ask(_ signal: Int32) {
    guard steps.isEmpty else { return }
    let start = ContinuousClock.now + (signal == SIGINT ? .seconds(2) : .zero)
    steps = [(start, SIGTERM), (start + .seconds(5), SIGKILL)]
  }

  /// Sends what is due. To be called every now and then.
  mutating func carryOut(on process: ChildProcess) {
    while let step = steps.first, step.time <= .now {
      process.send(step.signal)
      steps.removeFirst()
    }
  }
}
