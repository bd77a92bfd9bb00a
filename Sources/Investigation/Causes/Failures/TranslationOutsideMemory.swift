import QEMU
import X86

/// `execution.outside-ram` where TCG ends itself over it: an instruction that begins on a page with memory and goes on where there is none.
///
/// A block that begins outside memory is read byte by byte; one that reaches there from a page with memory fails the assertion `phys_page != -1`
/// (accel/tcg/translator.c: translator_access, 7.2).
struct TranslationOutsideMemory: CauseOfFailure {
  init?(_ failure: ReportedFailure) {
    guard failure.scene.statement(.translationOutsideMemory) != nil else { return nil }
  }

  var id: String { FetchOutsideMemory.id }
  var title: String { FetchOutsideMemory.title }

  var summary: String {
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
