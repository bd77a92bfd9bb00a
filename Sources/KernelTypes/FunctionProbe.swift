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

  /// The lines that make its events in `group` (Documentation/trace/kprobetrace.rst, Linux 6.1).
  public func definitions(group: String) -> [(event: String, line: String)] {
    let entry = arguments.map { " \($0.field)=\($0.place):\($0.fetchType)" }.joined()
    var lines = [(function, "p:\(group)/\(function) \(function)\(entry)")]
    if wantsReturn {
      let event = Self.returnEvent(of: function)
      let value = returned.map { " \($0.field)=\($0.place):\($0.fetchType)" } ?? ""
      lines.append((event, "r:\(group)/\(event) \(function)\(value)"))
    }
    return lines
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
    for index in arguments.indices where arguments[..<index].contains(where: { $0.field == arguments[index].field }) {
      arguments[index].field = "\(arguments[index].field.prefix(27))_\(index)"
    }
    return FunctionProbe(
      function: function.name, arguments: arguments, shownCount: shownCount,
      returned: wantsReturn ? try fetchReturned(by: function) : nil, wantsReturn: wantsReturn, wantsStack: wantsStack,
      condition: condition)
  }
}
