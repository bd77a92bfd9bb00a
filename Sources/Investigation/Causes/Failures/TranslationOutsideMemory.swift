import QEMU
import X86

/// `execution.outside-ram` where TCG tells it and shows no registers.
///
/// QEMU 2.9 to 7.1 shows registers in its log alone (accel/tcg/cputlb.c: report_bad_exec, 2.12). A block that begins outside memory is read byte by byte; one that reaches there from a page with memory fails the assertion `phys_page != -1`
/// (accel/tcg/translator.c: translator_access, 7.2).
struct TranslationOutsideMemory: CauseOfFailure {
  /// Where execution came to; nil where an instruction lies across the end of memory.
  private let address: UInt64?

  init?(_ failure: ReportedFailure) {
    address = failure.scene.untoldExecutionOutsideMemory
    guard address != nil || failure.scene.statement(.translationOutsideMemory) != nil else { return nil }
  }

  var id: String { FetchOutsideMemory.id }
  var title: String { FetchOutsideMemory.title }

  var summary: String {
    if let address {
      return
        "Execution came to \(address.hexadecimal), where the machine has no memory: TCG says so and gives up. It shows the registers in its log alone: `-d guest_errors -D FILE`, and with `in_asm,int` the code that came before."
    }
    return
      "Execution ran from a page with memory on into one where the machine has none, or a device: TCG cannot translate an instruction that lies across the two, and ends itself by an assertion. "
      + "QEMU's registers went with it; `-d in_asm,int -D FILE` leaves the code that came before."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "find out what ran on: code that falls through its end, memory filled with bytes that are no code, a return or a jump to such memory",
        "Behind the last byte of memory, and in front of a device's window, nothing answers with code.")
    ]
  }
}
