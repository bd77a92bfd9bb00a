import KVM
import X86

extension Scene {
  /// The scene with the registers that processors had before KVM cleared them, where a probe in the trace kept them, or a second run has
  /// them.
  ///
  /// They take the place of registers of a reset, and are all there is where a trace alone is examined.
  public var withRegistersAtShutdown: Scene {
    var scene = self
    for processor in processorsAtShutdown {
      if let place = processors.firstIndex(where: { $0.index == processor.index }) {
        guard ResetObservations.isReset(processors[place].state) else { continue }
        scene.processors[place] = processor
      } else if processors.isEmpty {
        scene.processors.append(processor)
      }
    }
    for processor in processorsOfSecondRun {
      guard let place = scene.processors.firstIndex(where: { $0.index == processor.index }),
        ResetObservations.isReset(scene.processors[place].state)
      else { continue }
      scene.processors[place] = processor
    }
    return scene
  }

  /// Whether the registers of a processor that ran are those of a reset, and nothing has kept what they were.
  public var hasLostRegisters: Bool {
    withRegistersAtShutdown.processors.contains { ResetObservations.isReset($0.state) && $0.state.isHalted != true }
  }

  /// The vCPUs that shut down and were not run again, as far as the trace shows.
  private var processorsAtShutdown: [ObservedProcessor] {
    var last: [Int32: ObservedProcessor] = [:]
    for record in trace {
      guard let thread = record.threadID else { continue }
      switch record.event {
      case .functionCall(let call):
        guard let registers = RegistersAtShutdown(call) else { continue }
        last[thread] = ObservedProcessor(
          index: registers.vcpu, state: registers.state, source: .trace(event: call.function, time: record.time))
      case .entry, .exit: last[thread] = nil
      default: continue
      }
    }
    return last.values.sorted { $0.index < $1.index }
  }
}
