import Glibc

/// How standard input's terminal was set, to be set again after a QEMU that died with its console in raw mode.
struct TerminalState {
  private let settings: termios

  /// Nil where standard input is no terminal.
  init?() {
    var settings = termios()
    // tcgetattr fills the structure.
    guard unsafe tcgetattr(STDIN_FILENO, &settings) == 0 else { return nil }
    self.settings = settings
  }

  func restore() {
    var settings = settings
    unsafe tcsetattr(STDIN_FILENO, TCSANOW, &settings)
  }
}
