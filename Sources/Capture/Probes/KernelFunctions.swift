public import KernelTypes
import SystemPackage

/// The functions of the running kernel and its modules, as their BTF describes them.
public final class KernelFunctions {
  private static let folder = FilePath("/sys/kernel/btf")
  private let kernel: BTF
  private var modules: [String: BTF] = [:]
  /// KVM's modules first: what is asked for is most likely there.
  private let moduleNames: [String]

  public init() throws(ProbeRefusal) {
    guard let bytes = try? wholeFile(Self.folder.appending("vmlinux")), let kernel = try? BTF(bytes) else {
      throw .noTypeInformation
    }
    self.kernel = kernel
    let names = directoryEntries(Self.folder).filter { $0 != "vmlinux" }.sorted()
    moduleNames = names.filter { $0.hasPrefix("kvm") } + names.filter { !$0.hasPrefix("kvm") }
  }

  /// The function of this name with the BTF that describes it; nil if neither the kernel nor a loaded module has one.
  public func function(named name: String) -> (function: KernelFunction, types: BTF)? {
    for module in moduleNames {
      if let found = function(named: name, of: module) { return found }
    }
    return kernel.function(named: name).map { ($0, kernel) }
  }

  /// The function of this name in one module.
  func function(named name: String, of module: String) -> (function: KernelFunction, types: BTF)? {
    guard let types = types(of: module) else { return nil }
    return types.function(named: name).map { ($0, types) }
  }

  /// All functions of KVM's modules and of the kernel itself.
  public func all() -> [(function: KernelFunction, types: BTF)] {
    let modules = moduleNames.filter { $0.hasPrefix("kvm") }.compactMap { types(of: $0) }
    return (modules + [kernel]).flatMap { types in types.ownFunctions().map { ($0, types) } }
  }

  private func types(of module: String) -> BTF? {
    if let known = modules[module] { return known }
    // A module that was unloaded meanwhile, or whose types do not fit the kernel's, has no functions to offer.
    guard let bytes = try? wholeFile(Self.folder.appending(module)) else { return nil }
    let types = try? BTF(bytes, base: kernel)
    modules[module] = types
    return types
  }
}
