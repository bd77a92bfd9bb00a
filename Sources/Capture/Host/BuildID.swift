import SystemPackage

/// What a linker makes of all that it links, so that one build can be told from another.
enum BuildID {
  /// That of a module of the kernel, in hexadecimal; nil where sysfs does not have it.
  static func ofModule(_ name: String) -> String? {
    let note = try? wholeFile(FilePath("/sys/module/\(name)/notes/.note.gnu.build-id"), limit: 4096)
    // An ELF note: sizes of name and content, type, the name "GNU" with its NUL (elf(5), Elf64_Nhdr).
    guard let note, note.count > 16 else { return nil }
    return note[16...].map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }
}
