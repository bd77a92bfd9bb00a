import Testing

/// The tests that run guests under TCG: one at a time, for each wants a processor for itself.
@Suite("inquest run: under TCG", .serialized)
enum UnderTCG {}
