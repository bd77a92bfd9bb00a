import X86

/// A reason why a guest that was still there when its time was over cannot get anywhere.
protocol CauseOfHang: JudgedCause {
  /// Nil where the guest hangs for another reason, or not at all.
  init?(_ hang: Hang)
  /// Whether it is also how handlers end that do not return: whatever they were called for is then the reason.
  var mayEndHandler: Bool { get }
}

extension CauseOfHang {
  var mayEndHandler: Bool { false }
}

/// A guest that was stopped while it still ran, or stood still.
public struct Hang {
  let scene: Scene
  /// Each vCPU with what it would do next.
  let processors: [(processor: ObservedProcessor, next: NextInstruction)]

  /// Those that the guest runs on.
  var started: [(processor: ObservedProcessor, next: NextInstruction)] {
    processors.filter { !$0.processor.waitsForStart }
  }

  init?(_ scene: Scene) {
    // A log that ends in repetition may have been cut off in the middle of a dump.
    guard [.timedOut, .stalled, .stopped, .unknown].contains(scene.ending),
      !scene.processors.isEmpty || scene.ending == .unknown
    else { return nil }
    self.scene = scene
    processors = scene.processors.map { ($0, NextInstruction(at: scene.instant(of: $0))) }
  }

  static var causes: [any CauseOfHang.Type] {
    [
      KernelForAnotherProcessor.self, InterruptTakenForException.self, HaltedForGood.self,
      RepeatedControlRegisterWrite.self, EndlessFault.self,
      InterruptStorm.self, UnendedInterrupt.self, SelfLoop.self, ZeroesOfRealMode.self, LostInNothing.self,
      SpinLoop.self, PollLoop.self,
    ]
  }

  /// Registers of a moment that nothing tells are no sign of a hang; a record that ends in repetition is.
  var cause: (any CauseOfHang)? {
    if scene.ending == .unknown {
      return EndlessFault(self) ?? InterruptStorm(self) ?? LoggedControlRegisterWrite(self) ?? LoggedLoop(self)
    }
    for cause in Self.causes {
      if let found = cause.init(self) { return found }
    }
    return nil
  }
}

extension Hang {
  /// How many pages the instructions of a loop, its handler and what they call may lie in.
  private static let fewPages = 4

  /// Whether a guest that was seen like this may get nowhere: each processor that was started is halted for good, or was only
  /// seen in a few pages, or a few segments of real mode, or RIP alone has changed, as in memory full of zeroes. A processor that waits for interrupts in HLT gets on, unless its local APIC
  /// holds them back.
  public static func isSuspected(_ moments: [WatchedMoment]) -> Bool {
    let states = moments.flatMap(\.processors).filter { !$0.waitsForStart }
    guard !states.isEmpty, moments.allSatisfy({ !$0.processors.isEmpty }) else { return false }
    let blocked = BlockedInterrupts.all(in: moments)
    let isIdle = states.contains {
      $0.state.isHalted == true && $0.state.rflags.contains(.interruptEnable) && blocked[$0.index] == nil
    }
    let pages = Dictionary(grouping: states, by: \.index).mapValues { looks in
      // Real mode's code may go round in a whole segment (``ZeroesOfRealMode``).
      Set(looks.map { ($0.state.mode == .real ? $0.state.cs.base : $0.state.instructionAddress.rawValue) >> 12 })
    }
    return !isIdle
      && pages.allSatisfy { index, pages in
        pages.count <= fewPages || Set(states.filter { $0.index == index }.map(\.state.generalPurpose)).count == 1
      }
  }
}
