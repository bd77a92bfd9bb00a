/// The names among `names` that a person who wrote `name` may have meant, the nearest first and at most three.
///
/// Near is a name of the same letters in another case, one that begins with `name` or holds it, or one that differs in few
/// letters: one in three, at most.
public func namesNear(_ name: String, in names: some Sequence<String>) -> [String] {
  let wanted = Array(name.lowercased().utf8.prefix(64))
  guard !wanted.isEmpty else { return [] }
  let ranked = Set(names).compactMap { candidate -> (name: String, distance: Int)? in
    let letters = Array(candidate.lowercased().utf8)
    let distance = min(editDistance(wanted, letters), holds(letters, wanted) ? 2 : .max)
    return distance <= max(1, wanted.count / 3) || distance == 2 && wanted.count > 2 ? (candidate, distance) : nil
  }
  return ranked.sorted { ($0.distance, $0.name.count, $0.name) < ($1.distance, $1.name.count, $1.name) }
    .prefix(3).map(\.name)
}

private func holds(_ letters: [UInt8], _ part: [UInt8]) -> Bool {
  part.count > 2 && letters.count > part.count
    && (0...letters.count - part.count).contains { letters[$0..<$0 + part.count].elementsEqual(part) }
}

/// The number of letters to be changed, put in or left out (Levenshtein).
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  var row = Array(0...b.count)
  for (i, letter) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, other) in b.enumerated() {
      let next = min(row[j + 1] + 1, row[j] + 1, diagonal + (letter == other ? 0 : 1))
      diagonal = row[j + 1]
      row[j + 1] = next
    }
  }
  return row[b.count]
}
