import X86

/// A reason why a guest that was still there when its time was over cannot get anywhere.
protocol CauseOfHang: JudgedCause {
  /// Nil where the guest hangs for another reason, or not at all.
  init?(_ hang: Hang)
}

/// A guest that was stopped while it still ran, or stood still.
struct Hang {
  let scene: Scene
  /// Each vCPU with what it would do next.
  let processors: [(processor: ObservedProcessor, next: NextInstruction)]

  init?(_ scene: Scene) {
    guard [.timedOut, .stopped, .unknown].contains(scene.ending), !scene.processors.isEmpty else { return nil }
    self.scene = scene
    processors = scene.processors.map { ($0, NextInstruction(at: scene.instant(of: $0))) }
  }

  static var causes: [any CauseOfHang.Type] {
    [HaltedForGood.self, RepeatedControlRegisterWrite.self, EndlessFault.self, SelfLoop.self, SpinLoop.self]
  }

  /// Registers of a moment that nothing tells are no sign of a hang; a record that ends in repetition is.
  var cause: (any CauseOfHang)? {
    if scene.ending == .unknown { return EndlessFault(self) }
    for cause in Self.causes {
      if let found = cause.init(self) { return found }
    }
    return nil
  }
}
