import GuestImage
import X86

/// What the processor makes of a selector that is to be loaded.
enum SelectorJudgement {
  /// It may be loaded; its descriptor, or nil where it is null and may be.
  case loadable(SegmentDescriptor?)
  case refused(SelectorViolation)
  case unknown(String)
}

/// The rules of loading segment registers, LDTR and TR, whatever loads them (SDM vol. 2, MOV, LLDT, LTR; vol. 3, 5.4 to 5.8).
extension Instant {
  /// - Parameters:
  ///   - register: One of DS, ES, FS, GS and SS.
  ///   - level: The CPL for which it is loaded.
  func judge(_ selector: SegmentSelector, for register: SegmentRegister, atLevel level: Int) -> SelectorJudgement {
    if selector.isNull { return register == .ss ? judgeNullStack(level) : .loadable(nil) }
    return judge(selector) { descriptor in
      register == .ss
        ? Self.stackViolation(selector, descriptor, level) : Self.dataViolation(selector, descriptor, level)
    }
  }

  /// LDTR and TR, which take descriptors of the GDT only.
  ///
  /// - Parameter types: The types of system descriptors that may be loaded (SDM vol. 3, table 3-2).
  func judgeSystem(_ selector: SegmentSelector, types: [UInt8]) -> SelectorJudgement {
    judge(selector) { descriptor in
      let attributes = descriptor.attributes
      guard !attributes.contains(.codeOrData), types.contains(attributes.type), !selector.isLocal else {
        return .wrongType(descriptor)
      }
      return attributes.contains(.present) ? nil : .notPresent(descriptor)
    }
  }

  /// What the selector, which is not null, names, held against `rule`.
  func judge(
    _ selector: SegmentSelector, by rule: (SegmentDescriptor) -> SelectorViolation?
  ) -> SelectorJudgement {
    switch descriptor(selector) {
    case .found(let descriptor): rule(descriptor).map { .refused($0) } ?? .loadable(descriptor)
    case .beyond(let limit): .refused(.beyondTable(limit: limit))
    case .notMapped(let access): .refused(.notMapped(access))
    case .outsideMemory(let address): .refused(.outsideMemory(address))
    case .unknown(let reason): .unknown(reason)
    }
  }

  /// SS may be null in 64-bit mode below CPL 3.
  private func judgeNullStack(_ level: Int) -> SelectorJudgement {
    state.mode == .long64 && level < 3 ? .loadable(nil) : .refused(.isNull)
  }

  private static func dataViolation(
    _ selector: SegmentSelector, _ descriptor: SegmentDescriptor, _ current: Int
  ) -> SelectorViolation? {
    let attributes = descriptor.attributes
    let isReadable = !attributes.contains(.code) || attributes.contains(.writableOrReadable)
    guard attributes.contains(.codeOrData), isReadable else { return .wrongType(descriptor) }
    let level = max(current, selector.requestedPrivilegeLevel)
    let isConforming = attributes.contains([.code, .expandDownOrConforming])
    if !isConforming, level > attributes.descriptorPrivilegeLevel { return .privilege(descriptor, level: current) }
    return attributes.contains(.present) ? nil : .notPresent(descriptor)
  }

  private static func stackViolation(
    _ selector: SegmentSelector, _ descriptor: SegmentDescriptor, _ level: Int
  ) -> SelectorViolation? {
    let attributes = descriptor.attributes
    guard attributes.contains([.codeOrData, .writableOrReadable]), !attributes.contains(.code) else {
      return .wrongType(descriptor)
    }
    guard selector.requestedPrivilegeLevel == level, attributes.descriptorPrivilegeLevel == level else {
      return .privilege(descriptor, level: level)
    }
    return attributes.contains(.present) ? nil : .notPresent(descriptor)
  }
}

extension SelectorViolation {
  /// What is raised for it where no rule of its own says otherwise: #NP for what is not present, #SS if that is a stack.
  func exception(for register: SegmentRegister? = nil) -> ExceptionVector {
    switch self {
    case .notMapped: .pageFault
    case .notPresent: register == .ss ? .stackFault : .segmentNotPresent
    default: .generalProtection
    }
  }
}
