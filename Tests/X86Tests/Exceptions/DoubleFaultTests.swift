import Testing
import X86

@Suite("Exceptions during delivery")
struct DoubleFaultTests {
  /// SDM vol. 3, table 6-5: the row is the first exception, the column the second.
  @Test(
    "two exceptions make one, or a double fault, or a shutdown",
    arguments: [
      (.invalidOpcode, .generalProtection, .generalProtection), (.invalidOpcode, .pageFault, .pageFault),
      (.generalProtection, .invalidOpcode, .invalidOpcode), (.generalProtection, .segmentNotPresent, .doubleFault),
      (.generalProtection, .pageFault, .pageFault), (.pageFault, .generalProtection, .doubleFault),
      (.pageFault, .pageFault, .doubleFault), (.pageFault, .debug, .debug), (.doubleFault, .generalProtection, nil),
      (.doubleFault, .pageFault, nil), (.divideError, .stackFault, .doubleFault),
      (.breakpoint, .breakpoint, .breakpoint),
    ] as [(ExceptionVector, ExceptionVector, ExceptionVector?)])
  func combinations(first: ExceptionVector, second: ExceptionVector, delivered: ExceptionVector?) {
    #expect(first.interrupted(by: second) == delivered)
  }
}
