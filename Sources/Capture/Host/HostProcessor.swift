import SystemPackage
public import X86

extension LinuxProcessor {
  /// Where this machine's processor is read.
  public static let source = "/proc/cpuinfo"

  /// This machine's first processor as Linux sees it; nil where that is not to be had.
  public static func current() -> Self? {
    guard let text = try? wholeText(FilePath(source)) else { return nil }
    return Self(cpuinfo: text)
  }
}
