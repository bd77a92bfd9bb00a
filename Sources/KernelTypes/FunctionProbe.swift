/// What to look at when the kernel calls a function.
public struct FunctionProbe: Hashable, Sendable {
  public var function: String
  /// The values at its entry, those that only the condition needs included.
  public var arguments: [FetchArgument]
  /// How many of them to show.
  public var shownCount: Int
  /// The value it returns; nil if it returns nothing, or nothing is wanted.
  public var returned: FetchArgument?
  public var wantsReturn: Bool
  public var wantsStack: Bool
  public var condition: Condition?

  public init(
    function: String, arguments: [FetchArgument] = [], shownCount: Int? = nil, returned: FetchArgument? = nil,
    wantsReturn: Bool = false, wantsStack: Bool = false, condition: Condition? = nil
  ) {
    self.function = function
    self.arguments = arguments
    self.shownCount = shownCount ?? arguments.count
    self.returned = returned
    self.wantsReturn = wantsReturn
    self.wantsStack = wantsStack
    self.condition = condition
  }

  /// The name of the event at its return; that at its entry has the function's own.
  public static func returnEvent(of function: String) -> String { function + returnSuffix }

  /// The function whose event this is, and whether it is that at its return.
  public static func function(ofEvent name: String) -> (name: String, isReturn: Bool) {
    name.hasSuffix(returnSuffix) ? (String(name.dropLast(returnSuffix.count)), true) : (name, false)
  }

  private static let returnSuffix = "__return"

  /// The names of its events: that at the entry, and that at the return where it is wanted.
  public var events: [String] { wantsReturn ? [function, Self.returnEvent(of: function)] : [function] }

  /// What of the kernel carries a probe.
  public enum Mechanism: Sendable {
    case kprobe
    case fprobe
  }

  /// The line that makes one of its events in `group` (Documentation/trace/kprobetrace.rst, Linux 6.1, and
  /// fprobetrace.rst, 6.5); nil where the mechanism cannot: an fprobe sees no stack.
  public func definition(of event: String, group: String, by mechanism: Mechanism) -> String? {
    let isReturn = Self.function(ofEvent: event).isReturn
    let fetched = isReturn ? [returned].compactMap(\.self) : arguments
    if mechanism == .fprobe, fetched.contains(where: { $0.place.contains("$stack") }) { return nil }
    let (kind, place) =
      switch (mechanism, isReturn) {
      case (.kprobe, false): ("p", function)
      case (.kprobe, true): ("r", function)
      case (.fprobe, false): ("f", function)
      case (.fprobe, true): ("f", "\(function)%return")
      }
    return "\(kind):\(group)/\(event) \(place)" + fetched.map { " \($0.field)=\($0.place):\($0.fetchType)" }.joined()
  }
}

extension BTF {
  /// A probe that shows these expressions, or all parameters where there are none.
  public func probe(
    _ function: KernelFunction, _ expressions: [Expression], when condition: Condition? = nil,
    wantsReturn: Bool = false, wantsStack: Bool = false
  ) throws(ResolutionError) -> FunctionProbe {
    var arguments: [FetchArgument] = []
    for expression in expressions { arguments.append(try fetch(expression, of: function)) }
    if expressions.isEmpty { arguments = fetchParameters(of: function) }
    let shownCount = arguments.count
    for expression in condition?.expressions ?? [] {
      guard !arguments.contains(where: { $0.expression == expression.description }) else { continue }
      arguments.append(try fetch(expression, of: function))
    }
    let condition = try condition?.replacingNames { expression, name throws(ResolutionError) in
      try Self.number(of: name, among: arguments.first { $0.expression == expression.description })
    }
    for index in arguments.indices where arguments[..<index].contains(where: { $0.field == arguments[index].field }) {
      arguments[index].field = "\(arguments[index].field.prefix(27))_\(index)"
    }
    return FunctionProbe(
      function: function.name, arguments: arguments, shownCount: shownCount,
      returned: wantsReturn ? try fetchReturned(by: function) : nil, wantsReturn: wantsReturn, wantsStack: wantsStack,
      condition: condition)
  }

  /// The number of an enumerator of an argument's type, or of `true` and `false`.
  private static func number(of name: String, among argument: FetchArgument?) throws(ResolutionError) -> UInt64 {
    let names: [(name: String, value: UInt64)] =
      switch argument?.form {
      case .enumeration(let enumeration): enumeration.values.map { ($0.name, $0.value) }
      case .boolean: [("false", 0), ("true", 1)]
      default: []
      }
    if let found = names.first(where: { $0.name == name }) { return found.value }
    let what = argument?.expression ?? "it"
    guard !names.isEmpty else {
      throw ResolutionError(reason: "\(what) is compared with \(name), but is no enumeration: compare it with a number")
    }
    throw ResolutionError(
      reason: "\(what) is never \(name); it is one of \(names.map(\.name).joined(separator: ", "))",
      names: names.map(\.name))
  }
}
