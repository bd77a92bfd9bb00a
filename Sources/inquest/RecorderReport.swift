import Capture
import SystemPackage

/// What a user is told of the recorder, on standard error: what is lacking always, the rest if wanted.
struct RecorderReport {
  let isVerbose: Bool

  func tell(_ recording: KVMRecording) {
    switch recording {
    case .refused(let refusal): tell(refusal)
    case .recorded(let recording): tell(recording)
    case .notWanted: if isVerbose { say("KVM's tracepoints are not recorded") }
    }
  }

  private func tell(_ refusal: RecordingRefusal) {
    let remedy = refusal.remedy.map { "; \($0)" } ?? ""
    say("KVM's tracepoints were not recorded: \(refusal.lack)\(remedy)")
  }

  private func tell(_ recording: FlightRecording) {
    let account = recording.account
    if let shortage = account.shortage {
      say("only KVM's most important events were recorded: \(Errno(rawValue: shortage)); ulimit -n 65536")
    }
    if account.dropped > 0 { say("the kernel lost \(account.dropped) of \(account.met) events of KVM") }
    guard isVerbose else { return }
    if let refusal = account.lostRegisters {
      say("KVM on AMD clears the registers at a triple fault, and no probe keeps them: \(refusal)")
    }
    let names = recording.tracepoints.map { $0.name + ($0.filter.map { " if \($0)" } ?? "") }
    say("recorded: \(names.joined(separator: ", "))")
    say("  because \(account.choice.reason)")
    say("  \(account.met) events in all; the last of them were kept in \(account.memory >> 10) KiB")
  }

  private func say(_ text: String) { standardError.write("inquest: \(text)\n") }
}
