public import Investigation
import X86

extension TerminalReport {
  /// What stands above the trials of a verdict that was shown before them, ending in a newline.
  public func trialsHeading(for verdict: Verdict) -> String {
    var report = self
    report.page.section(Self.trialsTitle)
    if !verdict.remedies.contains(where: { $0.option != nil && $0.available != false }) {
      report.page.item("  ", "No cure is an option of QEMU that could be tried here.")
    }
    return report.page.text
  }

  /// One trial, ending in a newline.
  public func text(of trial: Trial) -> String {
    var report = self
    report.show(trial)
    return report.page.text
  }

  static let trialsTitle = "The cures, tried"

  mutating func trials(_ trials: [Trial]) {
    guard !trials.isEmpty else { return }
    page.section(Self.trialsTitle)
    for trial in trials { show(trial) }
  }

  private mutating func show(_ trial: Trial) {
    let number = trial.step == 0 ? "\(trial.remedy + 1)" : "\(trial.remedy + 1).\(trial.step)"
    page.item("  \(number). ", trial.changes.joined(separator: " "), as: .strong)
    let time = trial.duration.map { ", after \(tenths($0)) s" } ?? ""
    page.item("     ", "\(trial.result.words)\(time)", as: trial.livedOn ? .calm : .alarm)
    page.item("     ", trial.account)
    if let line = trial.lastOutput, trial.livedOn { page.item("     ", "its output ends in: \(line)") }
    guard trial.result == .otherDeath else { return }
    show(trial.cause, trial.fault)
    guard !trial.remedies.contains(where: \.isOption) else { return }
    for remedy in trial.remedies { page.item("     ", "cure: \(remedy.change)") }
  }

  private mutating func show(_ cause: Cause?, _ fault: Fault?) {
    guard let cause else { return page.item("     ", "cause: not explained") }
    page.item("     ", "cause: \(cause.title) [\(cause.confidence.rawValue)]")
    page.item("     ", cause.id, as: .faint)
    page.item("     ", cause.summary)
    if let pointer = fault?.instructionPointer {
      let place = [pointer.rawValue.hexadecimal, fault?.instruction, fault?.symbol]
      page.item("     ", "where: \(place.joined(separator: "  "))")
    }
  }
}

/// Nanoseconds as seconds with one digit behind the point.
private func tenths(_ nanoseconds: UInt64) -> String {
  let tenths = (nanoseconds / 50_000_000 + 1) / 2
  return "\(tenths / 10).\(tenths % 10)"
}

extension Remedy {
  /// Whether it can be tried by itself.
  fileprivate var isOption: Bool { option != nil && available != false }
}

extension Trial.Result {
  var words: String {
    switch self {
    case .lived: "lived"
    case .ranOn: "lived as long as it was watched"
    case .sameDeath: "died or hung as before"
    case .otherDeath: "died or hung of something else"
    case .refused: "QEMU does not start"
    case .undetermined: "not known"
    case .notRun: "not tried"
    }
  }
}
