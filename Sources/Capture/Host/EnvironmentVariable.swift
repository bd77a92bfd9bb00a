import Glibc

/// A variable of this process's environment; nil where it is not set or empty.
func environmentVariable(_ name: String) -> String? {
  // The string is copied at once.
  guard let value = unsafe getenv(name) else { return nil }
  let text = unsafe String(cString: value)
  return text.isEmpty ? nil : text
}
