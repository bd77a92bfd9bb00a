import CElfutils
import Glibc

/// Makes names readable by the demanglers of the run-time libraries.
enum SymbolName {
  /// Longer names stay as they are: demanglers are recursive, and no person reads such a name.
  private static let longest = 1024

  /// The name as Swift or C++ would write it, Rust's older mangling included, which is C++'s with a hash at its end.
  static func demangled(_ name: String) -> String {
    guard name.utf8.count <= longest else { return name }
    return unsafe name.withCString { mangled in
      if name.hasPrefix("_Z") { return unsafe taking(__cxa_demangle(mangled, nil, nil, nil)) }
      let isSwift = ["$s", "$S", "$e", "_$s", "_$S", "_$e"].contains { name.hasPrefix($0) }
      guard isSwift else { return nil }
      return unsafe taking(swift_demangle(mangled, name.utf8.count, nil, nil, 0))
    } ?? name
  }

  /// The string at `result`, which is freed.
  private static func taking(_ result: UnsafeMutablePointer<CChar>?) -> String? {
    guard let result = unsafe result else { return nil }
    defer { unsafe free(result) }
    return unsafe String(cString: result)
  }
}
