import Capture
import GuestImage
import Investigation
import QEMU

/// Runs a guest that died again with each remedy of its verdict that is an option of QEMU.
///
/// Where it then dies of something else, that death's own first remedy is added, and so on: a chain of fixes.
struct CureTrials {
  let commandLine: QEMUCommandLine
  let image: GuestImage?
  /// As the guest was run before.
  let options: GuestRun.Options
  /// How long it ran before it died.
  let duration: Duration
  /// Told of each trial when it is over.
  let tell: (Trial) -> Void

  /// How many causes of death are followed behind each remedy, and how many runs are made in all.
  private static let mostSteps = 4
  private static let mostRuns = 12

  /// The verdict with what came of its remedies.
  func verifying(_ verdict: Verdict) -> Verdict {
    var verdict = verdict
    if let obstacle = commandLine.obstacleToAnotherRun {
      for (index, remedy) in verdict.remedies.enumerated() where remedy.option != nil {
        add(Trial(remedy: index, step: 0, changes: [remedy.change], result: .notRun, account: obstacle), to: &verdict)
      }
      return verdict
    }
    for (index, remedy) in verdict.remedies.enumerated() {
      guard let option = remedy.option, remedy.available != false else { continue }
      guard follow([option], ofRemedy: index, in: &verdict) else { break }
    }
    return verdict
  }

  /// Runs the guest with a remedy, and with those of the deaths that it meets then; false if nothing more is to be run.
  private func follow(_ first: [[String]], ofRemedy index: Int, in verdict: inout Verdict) -> Bool {
    var options = first
    var former = [verdict]
    for step in 0...Self.mostSteps {
      guard verdict.trials.count < Self.mostRuns else { return false }
      let (trial, found) = run(options, remedy: index, step: step, after: former)
      guard let trial else { return false }
      add(trial, to: &verdict)
      guard trial.result == .otherDeath, let found,
        let next = found.remedies.first(where: { $0.option != nil && $0.available != false })?.option,
        !options.contains(next)
      else { return true }
      options.removeAll { $0.first == next.first }
      options.append(next)
      former.append(found)
    }
    return true
  }

  private func add(_ trial: Trial, to verdict: inout Verdict) {
    verdict.trials.append(trial)
    if trial.step == 0 {
      switch trial.result {
      case .lived, .ranOn: verdict.remedies[trial.remedy].verified = true
      case .sameDeath, .otherDeath, .refused: verdict.remedies[trial.remedy].verified = false
      case .undetermined, .notRun: break
      }
    }
    tell(trial)
  }

  /// One run. No trial where the user interrupted it.
  private func run(_ changes: [[String]], remedy: Int, step: Int, after former: [Verdict]) -> (Trial?, Verdict?) {
    let line = changes.reduce(commandLine) { $0.applying($1) }
    let examination = Examination(commandLine: line, image: image)
    var trial = Trial(
      remedy: remedy, step: step, changes: changes.map { $0.joined(separator: " ") }, result: .notRun, account: "")
    let outcome: GuestOutcome
    let verdict: Verdict
    let start = ContinuousClock.now
    do {
      outcome = try GuestRun(line.leavingNoTrace, options: trialOptions).run(
        suspect: Examination.suspects, examine: { examination.examine($0) })
      verdict = try examination.conclude(outcome.scene)
    } catch {
      trial.account = "Not run: \(error)."
      return (trial, nil)
    }
    switch outcome.ending {
    case .interrupted: return (nil, nil)
    case .refusedToStart:
      trial.result = .refused
      let errors = String(decoding: outcome.scene.standardError, as: UTF8.self)
      let reason = StartRefusal(standardError: errors, of: line)?.reason ?? "it says nothing"
      trial.account = "QEMU does not start with it: \(reason)"
      return (trial, nil)
    default: break
    }
    (trial.result, trial.account) = Trial.result(of: verdict, Ending(outcome.ending), on: line, after: former)
    trial.duration = (outcome.scene.moment - start).nanoseconds
    trial.lastOutput = outcome.scene.lastOutput.map { String($0.suffix(200)) }
    if trial.result == .otherDeath {
      (trial.cause, trial.fault, trial.remedies) = (verdict.cause, verdict.fault, verdict.remedies)
    }
    return (trial, verdict)
  }

  private var trialOptions: GuestRun.Options {
    var options = options
    options.timeLimit = options.timeLimit ?? .seconds(10) + duration * 3
    options.forwardsStandardError = false
    options.keepsStandardOutput = true
    return options
  }
}

extension Duration {
  /// Not less than zero.
  fileprivate var nanoseconds: UInt64 { UInt64(max(self / .nanoseconds(1), 0)) }
}
