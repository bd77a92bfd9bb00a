import GuestImage
import QEMU
import X86

/// `boot.multiboot-addresses`: the image's Multiboot header tells the loader to put it, or to start it, where nothing can be.
struct MultibootAddresses: CauseOfFailure, SingleCause {
  static let id = "boot.multiboot-addresses"
  static let title = "The Multiboot header has wrong addresses"

  private let header: MultibootHeader
  private let source: Source

  init?(_ failure: ReportedFailure) {
    guard let (header, source) = failure.scene.multibootHeader, header.isWrong else { return nil }
    (self.header, self.source) = (header, source)
  }

  private func field(_ name: String) -> String { header.fields[name].map(\.hexadecimal) ?? "not shown" }

  var summary: String {
    "The Multiboot header's flags \(field("flags")) have bit 16 set: the loader must use the header's own addresses instead of the ELF's. They are load_addr \(field("load_addr")) and entry_addr \(field("entry_addr")): the image is "
      + "put at 0, over the interrupt vectors, or started there, and no instruction of it runs."
  }

  var evidence: [Evidence] { [Evidence("The Multiboot header, flags \(field("flags"))", source)] }

  var remedies: [Remedy] { Self.remedies }

  static var remedies: [Remedy] {
    [
      .guest(
        "clear bit 16 of the header's flags and mend the checksum: the sum of magic, flags and checksum is 0",
        "The loader then goes by the ELF's program headers."),
      .guest(
        "or fill in header_addr, load_addr, load_end_addr, bss_end_addr and entry_addr",
        "With bit 16 they are five words behind the checksum."),
    ]
  }

  static let manual = """
    A Multiboot loader, QEMU's `-kernel` too, goes by the ELF's program headers unless bit 16 of the header's flags is set. Then five address
    words behind the checksum decide. A header of only three words, or one with zeroes there, makes the loader put the image at 0 and jump to 0.

    ## How to recognise it

    Nothing of the image runs, not even its first print; KVM may end with an internal error, TCG with a silent triple fault. The header
    in the image (magic 1BADB002, within the first 8 KiB) has flags with 10000H and addresses that are 0.

    ## The cure

    Clear bit 16 and correct the checksum, or fill in the addresses.

    Multiboot Specification 0.6.96, 3.1.2 and 3.1.3; QEMU hw/i386/multiboot.c: load_multiboot, 7.2.
    """
}

extension MultibootHeader {
  /// Whether the addresses must be used and cannot be right: what is below 4 KiB is the interrupt vectors.
  var isWrong: Bool {
    guard usesAddressFields else { return false }
    return ["load_addr", "entry_addr"].contains { name in fields[name].map { $0 < 0x1000 } ?? false }
  }
}

extension Scene {
  var multibootHeader: (MultibootHeader, Source)? {
    for entry in log {
      if case .multibootHeader(let header) = entry.value { return (header, entry.source) }
    }
    return nil
  }

  /// What the Multiboot header of the image, or one beside a log, says.
  var multibootObservations: [Evidence] { executedHeader + printedHeader }

  /// A header at the image's entry point, where a linker puts the entry that no symbol names: at the first byte of all.
  private var executedHeader: [Evidence] {
    guard let image else { return [] }
    let bytes = image.bytes(atVirtual: LinearAddress(image.entryPoint), count: 12)
    guard MultibootHeader(inFile: bytes.span) != nil else { return [] }
    return [
      Evidence(
        "The image's entry point, \(image.entryPoint.hexadecimal), is its Multiboot header, which a loader that starts it there has executed as if it were code. A linker that finds no ENTRY, or no symbol of its name, takes the first byte of the code",
        .file("the guest's image"))
    ]
  }

  private var printedHeader: [Evidence] {
    guard let (header, source) = multibootHeader, header.usesAddressFields else { return [] }
    let addresses = ["load_addr", "entry_addr"].compactMap { name in
      header.fields[name].map { "\(name) \($0.hexadecimal)" }
    }
    return [
      Evidence(
        "The Multiboot header's flags \((header.fields["flags"] ?? 0).hexadecimal) have bit 16 set, so its address fields are used: \(addresses.joined(separator: ", "))"
          + (header.isWrong
            ? ". The loader puts the image at 0 or starts it there, over the interrupt vectors: nothing of it runs"
            : ""),
        source)
    ]
  }
}
