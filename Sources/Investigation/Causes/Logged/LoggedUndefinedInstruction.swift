import GuestImage
import QEMU
import X86

/// `cpu.missing-feature` or `cpu.feature-not-enabled` by the bytes at a logged #UD; `instruction.undefined` where nothing shows them.
struct LoggedUndefinedInstruction: CauseOfLoggedFault {
  private enum Reason {
    case missing(ProcessorFeature, FeatureAccount)
    case notEnabled([EnableBit], isOffered: Bool)
    /// A VEX or EVEX prefix whose instruction the log does not show whole.
    case vector(String)
    /// Nothing shows the bytes. Whether the place is known to lie outside of what the image loads.
    case unseen(isOutsideImage: Bool)
  }

  private let fault: LoggedFault
  private let reason: Reason
  private let name: String

  init?(_ fault: LoggedFault, in scene: Scene) {
    guard fault.vector == .invalidOpcode else { return nil }
    self.fault = fault
    guard let bytes = fault.code?.from, !bytes.isEmpty else {
      let place = fault.programCounter.flatMap { pointer in scene.image.map { $0.place(of: pointer) == nil } }
      guard fault.isTripleFault, place != false else { return nil }
      (reason, name) = (.unseen(isOutsideImage: place == true), "")
      return
    }
    let isWhole = fault.instruction != nil
    guard let instruction = fault.instruction ?? fault.instructionOfCutBytes else {
      guard let prefix = Self.vectorPrefix(bytes, fault.mode) else { return nil }
      reason = .vector(prefix)
      name = bytes.prefix(8).map(\.hexadecimalByte).joined(separator: " ")
      return
    }
    name = isWhole ? "`\(instruction.text)`" : instruction.mnemonic.uppercased()
    guard let requirements = instruction.requirements else { return nil }
    let features = requirements.features.compactMap(\.first)
    if let feature = features.first(where: { scene.decision(on: $0).isOn == false }) {
      reason = .missing(feature, scene.decision(on: feature))
      return
    }
    let isOffered = !features.isEmpty && features.allSatisfy { scene.decision(on: $0).isOn == true }
    let bits = requirements.enables.subtracting(.taskSwitchedOff).bits
    guard !bits.isEmpty, isOffered || instruction.encoding == .legacy else {
      guard let feature = features.first, instruction.encoding != .legacy else { return nil }
      reason = .missing(feature, scene.decision(on: feature))
      return
    }
    reason = .notEnabled(bits, isOffered: isOffered)
  }

  /// C4H, C5H and 62H begin VEX and EVEX in 64-bit mode (SDM vol. 2, 2.3.5, 2.7).
  private static func vectorPrefix(_ bytes: [UInt8], _ mode: ProcessorMode) -> String? {
    guard mode == .long64, let first = bytes.first else { return nil }
    let prefixes = ["none", "66", "F3", "F2"]
    switch first {
    case 0xC4 where bytes.count >= 3:
      let maps = [1: "0F", 2: "0F38", 3: "0F3A"]
      let map = maps[Int(bytes[1] & 0x1F)].map { "map \($0)" } ?? "map \(bytes[1] & 0x1F)"
      return "a VEX prefix of three bytes (\(map), W=\(bytes[2] >> 7), pp=\(prefixes[Int(bytes[2] & 3)]))"
    case 0xC4: return "a VEX prefix of three bytes"
    case 0xC5: return "a VEX prefix of two bytes"
    case 0x62: return "an EVEX prefix"
    default: return nil
    }
  }

  var id: String {
    switch reason {
    case .notEnabled: FeatureNotEnabled.id
    case .unseen: UndefinedInstruction.id
    case .missing, .vector: MissingFeature.id
    }
  }

  var title: String {
    switch reason {
    case .notEnabled: FeatureNotEnabled.title
    case .unseen: "An instruction that the processor refuses (#UD)"
    case .missing, .vector: MissingFeature.title
    }
  }

  var confidence: Confidence {
    guard fault.isTripleFault else { return .possible }
    switch reason {
    case .missing(_, let account): return account.isOn == nil ? .possible : .likely
    case .notEnabled(_, let isOffered): return isOffered ? .likely : .possible
    case .vector: return .likely
    case .unseen: return .possible
    }
  }

  var summary: String {
    switch reason {
    case .unseen(let isOutsideImage):
      "The processor met no instruction\(fault.place) that it takes (#UD), and nothing here shows the bytes. "
        + (isOutsideImage
          ? "The guest's image loads nothing there: code was copied there, or something jumped to where there is none."
          : "Either they are none, because something jumped into data or the code is decoded in the wrong mode; or an instruction that this mode does not have, as LTR and LLDT in real mode; or one that the processor lacks or that is not enabled; or UD2, by which code gives up.")
    case .vector(let prefix):
      "The bytes\(fault.place), \(name), begin with \(prefix): an instruction of AVX, BMI or their kin, which the processor that runs the guest does not have (#UD). Compilers emit them where they are told to build for the developer's own processor."
    case .missing(let feature, let account):
      "\(name)\(fault.place) raises #UD: it needs \(feature.manualName) (\(feature.name)), "
        + (account.isOn == false
          ? "which the guest's processor does not have, \(account.words)."
          : "which nothing shows the guest's processor to have.")
    case .notEnabled(let bits, let isOffered):
      "\(name)\(fault.place) is a valid instruction\(isOffered ? " that the processor has" : ", and nearly every processor has it"), and it raises #UD: \(bits.map { "\($0.name)=\($0.isSet ? 0 : 1)" }.joined(separator: " or ")) is what remains. Nothing in the log shows that it was turned on."
    }
  }

  var remedies: [Remedy] {
    switch reason {
    case .unseen:
      [
        .guest(
          "look at the bytes at the place: -d in_asm, x /4i in QEMU's monitor, or inquest run",
          "They tell whether it is code at all, and what it needs.")
      ]
    case .vector, .missing:
      [
        .guest(
          "build without target-cpu=native or -march=native (and -mavx, -mbmi2), for the boot loader too",
          "Such code runs on the processor that it was built on."),
        Remedy(
          kind: .commandLine, change: "-cpu max, or a model that has the feature",
          reason: "Where the accelerator can offer it.", available: nil),
      ]
    case .notEnabled:
      [
        .guest(
          "clear CR0.EM, set CR0.MP, CR4.OSFXSR and CR4.OSXMMEXCPT (for AVX CR4.OSXSAVE and XCR0 too) before the first such instruction, or build the kernel without SSE",
          "A processor comes up with them off.")
      ]
    }
  }
}
