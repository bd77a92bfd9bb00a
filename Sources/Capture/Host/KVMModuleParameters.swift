import SystemPackage

extension HostKVM {
  /// The parameters of kvm and of the vendor's module as sysfs shows them: by module, then by name.
  public var moduleParameters: [String: [String: String]] {
    var modules: [String: [String: String]] = [:]
    for module in ["kvm", vendorModule?.value].compactMap(\.self) {
      let folder = FilePath("/sys/module/\(module)/parameters")
      for name in directoryEntries(folder) {
        // Some can be written only.
        guard let text = try? wholeText(folder.appending(name)) else { continue }
        modules[module, default: [:]][name] = String(text.prefix { $0 != "\n" })
      }
    }
    return modules
  }
}
