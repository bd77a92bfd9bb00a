extension Scene {
  /// How many lines of the screen are shown.
  private static let mostLines = 4

  /// The last lines of the VGA's text screen, where a guest without a serial console says why it stops. They are the guest's words, no facts about
  /// it.
  var textScreenObservations: [Evidence] {
    guard let textScreen else { return [] }
    let lines = textScreen.value.filter { $0.contains { $0 != " " } }.suffix(Self.mostLines)
    guard !lines.isEmpty else { return [] }
    let words = lines.map { line in "\"\(line.prefix(160).drop { $0 == " " })\"" }.joined(separator: ", ")
    return [Evidence("The last of the VGA's text screen: \(words)", textScreen.source)]
  }
}
