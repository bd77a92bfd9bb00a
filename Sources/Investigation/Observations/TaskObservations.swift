import GuestImage
import X86

extension Scene {
  /// Where the task before stood, which a task gate interrupted: of #DF's task, the place of the fault that began it.
  func taskObservations(of processor: ObservedProcessor) -> [Evidence] {
    let instant = instant(of: processor)
    guard let (selector, before) = TaskSwitch.taskBefore(instant) else { return [] }
    let task = processor.state.tr.selector
    let name = entersByDoubleFault(task, instant) ? ", which the task gate of #DF names," : ""
    let interrupted = instant.with(before)
    let next = NextInstruction(at: interrupted)
    let instruction = next.instruction.map { ": `\($0.text)`" } ?? ""
    let exception = next.certainException.map { ", which raises \($0.name)" } ?? ""
    return [
      Evidence(
        "The task \(task.rawValue.hexadecimal)\(name) was entered from the task \(selector.rawValue.hexadecimal) (the link of its TSS, RFLAGS.NT), which stood at \(before.instructionAddress.rawValue.hexadecimal)\(instruction)\(exception)",
        .guestMemory)
    ]
  }

  private func entersByDoubleFault(_ task: SegmentSelector, _ instant: Instant) -> Bool {
    let table = InterruptDescriptorTable(register: instant.state.idtr, isLongModeActive: false)
    guard table.contains(.doubleFault),
      let word = try? instant.paging?.loadUInt64(
        at: table.gateAddress(of: .doubleFault), for: instant.implicitRead, in: instant.memory)
    else { return false }
    let gate = InterruptGate(word)
    return gate.kind == .task && gate.selector == task
  }
}
