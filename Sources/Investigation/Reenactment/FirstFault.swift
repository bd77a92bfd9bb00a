import GuestImage
import X86

/// The fault that a death began with, and what says so.
struct FirstFault {
  var exception: RaisedException
  /// What recorded the exception; nil where it was only worked out.
  var record: Source?
  /// The instruction that raised it; nil where its bytes are not known.
  var instruction: Instruction?
  /// The registers before the instruction; nil where they are not known.
  var state: ProcessorState?
  /// What is known of the walker.
  var rules: PagingRules
  /// The death in the trace.
  var death: RecordedDeath?

  /// The instruction as it begins a sentence.
  var instructionName: String { instruction.map { "`\($0.text)`" } ?? "The instruction" }
}
