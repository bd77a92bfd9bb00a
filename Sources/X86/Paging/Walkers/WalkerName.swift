/// Walkers by name: `intel`, `amd`, `kvm-6.1` (shadow paging), `kvm-6.1-tdp` (EPT or NPT), `tcg-7.2`.
extension Walker: LosslessStringConvertible {
  /// The walker of that name; `kvm`, `kvm-tdp` and `tcg` without a version are the newest that are modelled.
  public init?(_ description: String) {
    var parts = description.lowercased().split(separator: "-", omittingEmptySubsequences: false)[...]
    let kind = parts.removeFirst()
    let isTwoDimensional = kind == "kvm" && parts.last == "tdp"
    if isTwoDimensional { parts.removeLast() }
    let version = parts.first.map(SoftwareVersion.init)
    guard parts.count <= 1, version != .some(nil) else { return nil }
    switch (kind, version) {
    case ("intel", nil): self = .hardware(.intel)
    case ("amd", nil): self = .hardware(.amd)
    case ("kvm", let version): self = .kvm((version ?? nil) ?? .newestKVM, twoDimensionalPaging: isTwoDimensional)
    case ("tcg", let version): self = .tcg((version ?? nil) ?? .newestTCG)
    default: return nil
    }
  }

  public var description: String {
    switch self {
    case .hardware(.intel): "intel"
    case .hardware(.amd): "amd"
    case .kvm(let version, twoDimensionalPaging: false): "kvm-\(version)"
    case .kvm(let version, twoDimensionalPaging: true): "kvm-\(version)-tdp"
    case .tcg(let version): "tcg-\(version)"
    }
  }

  /// The walker in words (`KVM of Linux 6.1 with EPT or NPT`).
  public var words: String {
    switch self {
    case .hardware(.intel): "an Intel processor"
    case .hardware(.amd): "an AMD processor"
    case .kvm(let version, twoDimensionalPaging: false): "KVM of Linux \(version) with shadow paging"
    case .kvm(let version, twoDimensionalPaging: true): "KVM of Linux \(version) where it emulates, with EPT or NPT"
    case .tcg(let version): "TCG of QEMU \(version)"
    }
  }

  /// One of each kind whose rules differ, for questions about all of them.
  public static let representative: [Walker] = [
    .hardware(.intel), .hardware(.amd), .kvm(.newestKVM, twoDimensionalPaging: false),
    .kvm(.newestKVM, twoDimensionalPaging: true), .kvm(SoftwareVersion(5, 13), twoDimensionalPaging: true),
    .tcg(.newestTCG),
  ]
}

extension SoftwareVersion: CustomStringConvertible {
  /// The newest Linux whose walker was read.
  public static let newestKVM = SoftwareVersion(6, 19)
  /// The newest QEMU whose walker was read.
  public static let newestTCG = SoftwareVersion(10, 2)

  public var description: String { "\(major).\(minor)" }

  /// The first two numbers of a text such as `6.1`; nil for any other text.
  init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let major = Int(parts[0]), let minor = Int(parts[1]), major >= 0, minor >= 0 else {
      return nil
    }
    self.init(major, minor)
  }
}
