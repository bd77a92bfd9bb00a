public import KernelTypes
public import X86

/// The registers of a vCPU as KVM on AMD found them when the guest shut the processor down, before it cleared them.
///
/// At a triple fault kvm_amd's `shutdown_interception` (arch/x86/kvm/svm/svm.c, 5.10 to 6.18) clears the VMCB and resets the
/// vCPU, since the architecture leaves the saved state undefined then (APM vol. 2, 15.14.3); processors save it all the same.
/// A probe at the function's entry sees it.
public struct RegistersAtShutdown: Hashable, Sendable {
  /// KVM's number of the vCPU.
  public var vcpu: Int
  public var state: ProcessorState

  /// The function that is probed.
  public static let function = "shutdown_interception"
}

// MARK: - Asking for them

extension RegistersAtShutdown {
  /// A field of the probe's record: where the value is, from the vCPU (`V`) or its VMCB's state-save area (`S`), and the
  /// width in bits.
  private struct Field {
    var name: String
    var place: String
    var width: Int
  }

  /// KVM's order of the general registers (arch/x86/include/asm/kvm_host.h: enum kvm_reg) is that of their encoding. RAX and
  /// RSP are copied there at each exit (svm.c: svm_vcpu_run).
  private static var generalRegisters: [(name: String, register: WritableKeyPath<GeneralPurposeRegisters, UInt64>)] {
    [
      ("rax", \.rax), ("rcx", \.rcx), ("rdx", \.rdx), ("rbx", \.rbx), ("rsp", \.rsp), ("rbp", \.rbp), ("rsi", \.rsi),
      ("rdi", \.rdi), ("r8", \.r8), ("r9", \.r9), ("r10", \.r10), ("r11", \.r11), ("r12", \.r12), ("r13", \.r13),
      ("r14", \.r14), ("r15", \.r15),
    ]
  }
  /// CR0, CR3, CR4 and EFER as the guest has them: the VMCB's have bits of KVM's own (svm.c: svm_set_cr0, svm_set_cr4,
  /// svm_set_efer), and what the guest may write itself is copied before an exit is handled (svm_handle_exit).
  private static let controlRegisters = [
    ("rip", "S.rip"), ("rflags", "S.rflags"), ("cr0", "V.arch.cr0"), ("cr2", "S.cr2"), ("cr3", "V.arch.cr3"),
    ("cr4", "V.arch.cr4"), ("efer", "V.arch.efer"),
  ]
  private static let segments = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"]
  private static let tables = ["gdtr", "idtr"]

  private static var fields: [Field] {
    [Field(name: "vcpu", place: "V.vcpu_id", width: 32), Field(name: "cpl", place: "S.cpl", width: 8)]
      + generalRegisters.enumerated().map { Field(name: $1.name, place: "V.arch.regs[\($0)]", width: 64) }
      + controlRegisters.map { Field(name: $0.0, place: $0.1, width: 64) }
      + segments.flatMap { name in
        [("selector", 16), ("attrib", 16), ("limit", 32), ("base", 64)].map {
          Field(name: "\(name)_\($0.0)", place: "S.\(name).\($0.0)", width: $0.1)
        }
      }
      + tables.flatMap { name in
        [("limit", 32), ("base", 64)].map {
          Field(name: "\(name)_\($0.0)", place: "S.\(name).\($0.0)", width: $0.1)
        }
      }
  }

  /// The probe that fetches them.
  ///
  /// - Parameter function: ``function``, as `types` describe it: it is given the vCPU, before Linux 5.12 kvm_amd's structure
  ///   around it. That begins with the vCPU (svm.c: svm_create_vcpu has a BUILD_BUG_ON for it).
  public static func probe(
    on function: KernelFunction, describedBy types: BTF
  ) throws(ResolutionError) -> FunctionProbe {
    guard let parameter = function.prototype.parameters.first?.name else {
      throw ResolutionError(reason: "\(function.name) has no parameter")
    }
    var arguments: [FetchArgument] = []
    for field in fields {
      var argument = try types.fetch(expression(of: field.place, from: parameter), of: function)
      (argument.field, argument.fetchType, argument.form) = (field.name, "x\(field.width)", .hexadecimal)
      arguments.append(argument)
    }
    return FunctionProbe(function: function.name, arguments: arguments)
  }

  /// The probe that fetches them from these places, which another such probe had; nil where they are no places of that kind.
  ///
  /// - Parameter places: Paths of offsets from the function's first parameter: they lead to nothing else, whoever wrote them.
  public static func probe(fetchingFrom places: [Substring]) -> FunctionProbe? {
    let fields = fields
    guard places.count == fields.count, places.allSatisfy(isPathFromParameter) else { return nil }
    return FunctionProbe(
      function: function,
      arguments: zip(fields, places).map { field, place in
        FetchArgument(
          expression: field.place, field: field.name, place: String(place), fetchType: "x\(field.width)",
          form: .hexadecimal)
      })
  }

  /// `$arg1` inside any number of `+160(…)`.
  private static func isPathFromParameter(_ place: Substring) -> Bool {
    var rest = Array(place.utf8)[...]
    var depth = 0
    while rest.first == UInt8(ascii: "+") {
      let digits = rest.dropFirst().prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      rest = rest.dropFirst(1 + digits.count)
      guard (1...9).contains(digits.count), rest.popFirst() == UInt8(ascii: "(") else { return false }
      depth += 1
    }
    return rest.elementsEqual(Array("$arg1".utf8) + Array(repeating: UInt8(ascii: ")"), count: depth))
  }

  private static func expression(of place: String, from parameter: String) throws(ResolutionError) -> Expression {
    let outer = "((struct vcpu_svm *)\(parameter))->"
    let start = place.hasPrefix("V.") ? "\(outer)vcpu." : "\(outer)vmcb->save."
    do throws(ExpressionError) {
      return try Expression(start + place.dropFirst(2))
    } catch {
      throw ResolutionError(reason: error.description)
    }
  }
}

// MARK: - Reading them

extension RegistersAtShutdown {
  /// What a probe recorded; nil for a probe on another function, or where a value is missing.
  public init?(_ call: KVMFunctionCall) {
    guard call.function == Self.function, !call.isReturn else { return nil }
    let numbers = Dictionary(
      call.values.compactMap { value in value.number.map { (value.name, $0) } }, uniquingKeysWith: { first, _ in first }
    )
    guard Self.fields.allSatisfy({ numbers[$0.name] != nil }) else { return nil }
    func number(_ name: String) -> UInt64 { numbers[name] ?? 0 }
    func segment(_ name: String) -> Segment {
      Segment(
        selector: SegmentSelector(rawValue: UInt16(truncatingIfNeeded: number("\(name)_selector"))),
        base: number("\(name)_base"), limit: UInt32(truncatingIfNeeded: number("\(name)_limit")),
        attributes: SegmentAttributes(vmcbAttributes: UInt32(truncatingIfNeeded: number("\(name)_attrib"))))
    }
    func table(_ name: String) -> DescriptorTableRegister {
      DescriptorTableRegister(
        base: LinearAddress(number("\(name)_base")), limit: UInt16(truncatingIfNeeded: number("\(name)_limit")))
    }
    var general = GeneralPurposeRegisters()
    for (name, register) in Self.generalRegisters { general[keyPath: register] = number(name) }
    vcpu = Int(truncatingIfNeeded: number("vcpu"))
    state = ProcessorState(
      generalPurpose: general, rip: number("rip"), rflags: RFLAGS(rawValue: number("rflags")),
      es: segment("es"), cs: segment("cs"), ss: segment("ss"), ds: segment("ds"), fs: segment("fs"), gs: segment("gs"),
      ldtr: segment("ldtr"), tr: segment("tr"), gdtr: table("gdtr"), idtr: table("idtr"),
      cr0: CR0(rawValue: number("cr0")), cr2: number("cr2"), cr3: number("cr3"), cr4: CR4(rawValue: number("cr4")),
      efer: EFER(rawValue: number("efer")), currentPrivilegeLevel: Int(number("cpl") & 3))
  }
}
