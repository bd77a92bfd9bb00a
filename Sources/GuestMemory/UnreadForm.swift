/// A file that holds something of a guest in a form that is not read here, recognised by its first bytes.
public struct UnreadForm: Hashable, Sendable {
  /// What it is, and what to make instead.
  public let words: String

  /// From which size on, in bytes, a file with many zeroes is taken for no text.
  private static let leastSize = 1 << 20

  private static let forms: [(first: String, words: String)] = [
    // QEMU migration/savevm.h: QEMU_VM_FILE_MAGIC
    (
      "QEVM",
      "a migration stream of QEMU, which is not read. Start QEMU with -incoming and this file, then: dump-guest-memory FILE"
    ),
    // libvirt src/qemu/qemu_saveimage.h: QEMU_SAVE_MAGIC, QEMU_SAVE_PARTIAL
    (
      "LibvirtQemudSave",
      "what virsh save writes, a migration stream of QEMU, which is not read. Of a domain that runs: virsh dump --memory-only DOMAIN FILE"
    ),
    (
      "LibvirtQemudPart",
      "what virsh save began to write and did not end. Of a domain that runs: virsh dump --memory-only DOMAIN FILE"
    ),
    // QEMU include/qemu/win_dump_defs.h
    ("PAGEDU64", "a crash dump of Windows, which is not read. QEMU makes one that is: dump-guest-memory FILE"),
    ("PAGEDUMP", "a crash dump of Windows, which is not read. QEMU makes one that is: dump-guest-memory FILE"),
    // LiME src/lime.h: LIME_MAGIC
    ("EMiL", "a memory image of LiME, which is not read"),
    (
      "\u{7F}VirtualBox SavedState",
      "a saved state of VirtualBox, which is not read. VBoxManage debugvm VM dumpvmcore makes an ELF core"
    ),
    // QEMU block/qcow2.h: QCOW_MAGIC; the last byte, FBH, is not ASCII
    ("QFI", "a disk image; where savevm put a snapshot into it, loadvm it, then: dump-guest-memory FILE"),
  ]

  /// Nil where the file may be text, or anything else.
  public init?(_ bytes: Span<UInt8>) {
    for form in Self.forms where Self.begins(bytes, with: form.first) {
      words = form.words
      return
    }
    guard bytes.count >= Self.leastSize, Self.isBinary(bytes) else { return nil }
    words =
      "no text, and no form that is known. If it is a copy of physical memory, as pmemsave makes it, say where it begins, and give the registers too: "
      + "FILE@0 REGISTERS"
  }

  private static func begins(_ bytes: Span<UInt8>, with text: String) -> Bool {
    guard bytes.count >= text.utf8.count else { return false }
    for (index, byte) in text.utf8.enumerated() where bytes[index] != byte { return false }
    return true
  }

  /// Whether one byte in eight is zero, of pages from all over the file. Of text only UTF-16 has zeroes, one in two bytes at most, and no
  /// other control characters than text has.
  private static func isBinary(_ bytes: Span<UInt8>) -> Bool {
    var (zeroes, others, looked) = (0, 0, 0)
    let step = max(bytes.count / 64, 1)
    for start in stride(from: 0, to: bytes.count, by: step) {
      for offset in start..<min(start + 512, bytes.count) {
        looked += 1
        switch bytes[offset] {
        case 0: zeroes += 1
        case 0x01...0x06, 0x0E...0x1A, 0x1C...0x1F, 0x7F: others += 1
        default: break
        }
      }
    }
    return zeroes * 8 > looked && (others > 0 || zeroes * 5 > looked * 3)
  }
}
