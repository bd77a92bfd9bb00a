/// The argument of `-cpu`: a model and what is changed about it.
///
/// `target/i386/cpu.c: x86_cpu_parse_featurestr, x86_cpu_expand_features`, 7.2, checked live: properties are set in
/// order; then every `+feature` is turned on and after that every `-feature` off, so these win over `feature=off` and
/// `feature=on`, and `-` over `+`.
public struct CPUSelection: Hashable, Sendable {
  /// The model's name as given, or the default.
  public var model: String
  /// Whether the model was given rather than being QEMU's default.
  public var isModelGiven: Bool
  /// What is changed, in order.
  public var changes: [Change]
  /// What `-global` options change besides; QEMU applies them before `changes`.
  public var globalChanges: [Change] = []

  /// One change of the model.
  public struct Change: Hashable, Sendable {
    /// How it was written.
    public enum Form: Hashable, Sendable {
      /// `+feature`.
      case plus
      /// `-feature`.
      case minus
      /// `property=value`, or `property` alone for `property=on`.
      case property(value: String)
    }

    /// The property's name in QEMU's canonical spelling.
    public var name: CPUFeatureName
    public var form: Form
    /// The change as it was written, such as `+pdpe1gb`.
    public var text: String

    public init(name: CPUFeatureName, form: Form, text: String) {
      self.name = name
      self.form = form
      self.text = text
    }
  }

  public init(model: String, isModelGiven: Bool = true, changes: [Change] = []) {
    self.model = model
    self.isModelGiven = isModelGiven
    self.changes = changes
  }

  /// Parses what follows `-cpu`.
  public init(_ text: String) {
    // QEMU splits with strtok: empty parts vanish and there is no `,,`.
    let parts = text.split(separator: ",")
    let hasModel = !text.hasPrefix(",") && !parts.isEmpty
    model = hasModel ? String(parts[0]) : ""
    isModelGiven = hasModel
    changes = parts.dropFirst(hasModel ? 1 : 0).map { Self.change(String($0)) }
  }

  private static func change(_ text: String) -> Change {
    if text.hasPrefix("+") { return Change(name: CPUFeatureName(String(text.dropFirst())), form: .plus, text: text) }
    if text.hasPrefix("-") { return Change(name: CPUFeatureName(String(text.dropFirst())), form: .minus, text: text) }
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let value = parts.count == 2 ? parts[1] : "on"
    return Change(name: CPUFeatureName(parts[0]), form: .property(value: value), text: text)
  }

  /// All changes, in the order in which QEMU applies those of one form.
  public var allChanges: [Change] { globalChanges + changes }

  /// Whether the model is `host` or `max`, which have what the accelerator offers.
  public var isAccelerated: Bool { model == "host" || model == "max" }

  /// Whether `host` and `max` leave out what QEMU cannot migrate, which is the default (`migratable`).
  public var isMigratable: Bool { decision(on: "migratable")?.isOn ?? true }

  /// The change that decides `feature`, and to what; nil where the model decides.
  public func decision(on feature: CPUFeatureName) -> (isOn: Bool, change: Change)? {
    let named = allChanges.filter { $0.name == feature }
    if let minus = named.last(where: { $0.form == .minus }) { return (false, minus) }
    if let plus = named.last(where: { $0.form == .plus }) { return (true, plus) }
    for change in named.reversed() {
      guard case .property(let value) = change.form, let isOn = Self.boolean(value) else { continue }
      return (isOn, change)
    }
    return nil
  }

  /// The last value given to a property that is no feature, such as `phys-bits`.
  public func property(_ name: CPUFeatureName) -> (value: String, change: Change)? {
    for change in allChanges.reversed() where change.name == name {
      if case .property(let value) = change.form { return (value, change) }
    }
    return nil
  }

  /// The number given to a property, if it fits.
  public func number(_ name: CPUFeatureName) -> UInt32? { property(name).flatMap { Self.number($0.value) } }

  /// `enforce`: QEMU refuses to start where the accelerator lacks a feature that was asked for.
  public var enforces: Bool { decision(on: "enforce")?.isOn ?? false }

  /// Whether QEMU warns of features that the accelerator lacks; `check=off` silences it.
  public var warnsOfMissingFeatures: Bool { enforces || (decision(on: "check")?.isOn ?? true) }

  /// The selection as `-cpu` takes it, without what `-global` options change.
  public var text: String { ([model] + changes.map(\.text)).joined(separator: ",") }

  /// The selection with `feature` turned on, as `-cpu` takes it: a change that turns it off is dropped.
  public func turningOn(_ feature: CPUFeatureName) -> Self {
    var copy = self
    copy.changes.removeAll { $0.name == feature }
    copy.changes.append(Change(name: feature, form: .plus, text: "+\(feature.rawValue)"))
    return copy
  }
}

extension CPUSelection.Change {
  /// Whether it turns features on or off; false for a setting.
  var isFeatureSwitch: Bool { isSwitch && !name.bits.isEmpty }

  /// Whether it turns something on or off; false for a number or a text.
  public var isSwitch: Bool {
    if case .property(let value) = form { return CPUSelection.boolean(value) != nil }
    return true
  }
}

extension CPUSelection {
  /// The words that `qapi/qobject-input-visitor.c` takes for a boolean, checked live for 7.2.
  static func boolean(_ text: String) -> Bool? {
    switch text {
    case "on", "yes", "true", "y": true
    case "off", "no", "false", "n": false
    default: nil
    }
  }

  /// A number, decimal or with `0x` hexadecimal.
  static func number(_ text: String) -> UInt32? {
    text.hasPrefix("0x") || text.hasPrefix("0X") ? UInt32(text.dropFirst(2), radix: 16) : UInt32(text)
  }
}

extension QEMUCommandLine {
  /// The processor the guest gets: the last `-cpu`, and what `-global` says of x86 processors.
  ///
  /// Without `-cpu` it is `qemu64` (`qemu32` in the 32-bit program), whatever the accelerator.
  public var cpu: CPUSelection {
    let defaultModel = programName.hasPrefix("qemu-system-i386") ? "qemu32" : "qemu64"
    var selection =
      value(of: "cpu").map { CPUSelection($0) } ?? CPUSelection(model: defaultModel, isModelGiven: false)
    let model = selection.model
    selection.globalChanges = options(named: "global").compactMap(\.value).compactMap { globalChange($0, of: model) }
    return selection
  }

  /// `-global Haswell-x86_64-cpu.pdpe1gb=on` as a change of the model.
  private func globalChange(_ text: String, of model: String) -> CPUSelection.Change? {
    let properties = OptionProperties(text)
    if let driver = properties["driver"], let property = properties["property"], let value = properties["value"] {
      return globalChange(driver: driver, property: property, value: value, text: text, model: model)
    }
    let parts = text.split(separator: "=", maxSplits: 1)
    guard parts.count == 2, let dot = parts[0].lastIndex(of: ".") else { return nil }
    let property = parts[0][parts[0].index(after: dot)...]
    return globalChange(
      driver: String(parts[0][..<dot]), property: String(property), value: String(parts[1]), text: text, model: model)
  }

  /// A global counts for the class of the model, and for those that it is derived from: `x86_64-cpu` and `cpu`; for `host`
  /// also `max`.
  private func globalChange(
    driver: String, property: String, value: String, text: String, model: String
  ) -> CPUSelection.Change? {
    let models = model == "host" ? ["host-", "max-", ""] : ["\(model)-", ""]
    let classes = models.flatMap { ["\($0)x86_64-cpu", "\($0)i386-cpu"] } + ["cpu", "device"]
    guard classes.contains(driver) else { return nil }
    return CPUSelection.Change(name: CPUFeatureName(property), form: .property(value: value), text: "-global \(text)")
  }
}
