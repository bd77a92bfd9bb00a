import SystemPackage

/// What stands in for the terminal of a program whose output is kept: nothing to read, and a pipe to write to.
struct KeptConsole {
  /// Empty.
  let input: OwnedDescriptor
  let output: OwnedDescriptor
  /// Where this process reads what was written.
  let reading: OwnedDescriptor

  init() throws(Errno) {
    input = try OwnedDescriptor { try .open(FilePath("/dev/null"), .readOnly, options: .closeOnExec) }
    let pipe = try makePipe()
    (reading, output) = (pipe.reading, pipe.writing)
  }
}
