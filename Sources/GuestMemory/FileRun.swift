/// Consecutive addresses whose bytes lie one after the other in a file.
@usableFromInline struct FileRun: Hashable, Sendable {
  @usableFromInline var address: UInt64
  /// In bytes. The last address is at most the highest of 64 bits, less one.
  @usableFromInline var count: UInt64
  /// Where the first byte lies in the file.
  @usableFromInline var offset: Int
  /// Which file, of several.
  @usableFromInline var file = 0

  @usableFromInline init(address: UInt64, count: UInt64, offset: Int, file: Int = 0) {
    self.address = address
    self.count = count
    self.offset = offset
    self.file = file
  }

  @inlinable var end: UInt64 { address &+ count }

  /// Whether `next` goes on where this run ends, in the addresses and in the file.
  fileprivate func isContinued(by next: FileRun) -> Bool {
    end == next.address && file == next.file && offset + Int(count) == next.offset
  }

  /// Whether an address that both hold is at the same place of the same file.
  fileprivate func agrees(with other: FileRun) -> Bool {
    file == other.file && UInt64(offset) &- address == UInt64(other.offset) &- other.address
  }

  /// The part of the run between two addresses within it.
  fileprivate func part(_ lower: UInt64, _ upper: UInt64) -> FileRun {
    FileRun(address: lower, count: upper - lower, offset: offset + Int(lower - address), file: file)
  }
}

/// Runs that do not overlap, in ascending order, for looking up an address.
@usableFromInline struct FileRuns: Hashable, Sendable {
  @usableFromInline let runs: [FileRun]
  /// The first address that two of the runs gave from different places; nil if no two did.
  let disagreement: UInt64?

  /// Where runs overlap, the one that comes first in the array has the bytes.
  init(_ runs: [FileRun]) {
    let sorted = runs.filter { $0.count > 0 }.sorted { $0.address < $1.address }
    let isDisjoint = zip(sorted, sorted.dropFirst()).allSatisfy { $0.end <= $1.address }
    disagreement = isDisjoint ? nil : Self.disagreement(sorted)
    self.runs = Self.joined(isDisjoint ? sorted : Self.disjoint(runs))
  }

  /// The run that holds an address; nil if none does.
  @inlinable @inline(__always) func run(at address: UInt64) -> FileRun? {
    let next = firstIndex(after: address)
    guard next > 0 else { return nil }
    let run = runs[next &- 1]
    return address &- run.address < run.count ? run : nil
  }

  /// The runs that hold any of the addresses from `lower` to below `upper`.
  func runs(from lower: UInt64, to upper: UInt64) -> ArraySlice<FileRun> {
    let next = firstIndex(after: lower)
    let first = next > 0 && runs[next - 1].end > lower ? next - 1 : next
    return runs[first..<max(first, upper > 0 ? firstIndex(after: upper - 1) : 0)]
  }

  /// The index of the first run that begins after an address.
  @inlinable @inline(__always) func firstIndex(after address: UInt64) -> Int {
    var lower = 0
    var upper = runs.count
    while lower < upper {
      let middle = (lower &+ upper) >> 1
      if runs[middle].address <= address { lower = middle &+ 1 } else { upper = middle }
    }
    return lower
  }

  /// Compares each run with the one before it that reaches furthest: if that agrees with it, so does every other run
  /// that covers its first address, or those two would have disagreed before.
  private static func disagreement(_ sorted: [FileRun]) -> UInt64? {
    guard var furthest = sorted.first else { return nil }
    for run in sorted.dropFirst() {
      if run.address < furthest.end, !run.agrees(with: furthest) { return run.address }
      if run.end > furthest.end { furthest = run }
    }
    return nil
  }

  private static func joined(_ sorted: [FileRun]) -> [FileRun] {
    var joined: [FileRun] = []
    for run in sorted {
      if let last = joined.last, last.isContinued(by: run) {
        joined[joined.count - 1].count += run.count
      } else {
        joined.append(run)
      }
    }
    return joined
  }

  /// Cuts the runs at each other's ends and gives each piece to the first run that covers it, in time that grows with
  /// the number of runs and its logarithm, however they overlap.
  private static func disjoint(_ runs: [FileRun]) -> [FileRun] {
    let cuts = Set(runs.lazy.filter { $0.count > 0 }.flatMap { [$0.address, $0.end] }).sorted()
    let place = Dictionary(uniqueKeysWithValues: zip(cuts, cuts.indices))
    var owner = [Int?](repeating: nil, count: cuts.count)
    // From each piece the next one that has no owner may begin at; shortened as it is followed.
    var next = Array(cuts.indices)
    func free(from start: Int) -> Int {
      var end = start
      while next[end] != end { end = next[end] }
      var piece = start
      while piece != end {
        let following = next[piece]
        next[piece] = end
        piece = following
      }
      return end
    }
    for index in runs.indices where runs[index].count > 0 {
      guard let first = place[runs[index].address], let end = place[runs[index].end] else { continue }
      var piece = free(from: first)
      while piece < end {
        owner[piece] = index
        next[piece] = piece + 1
        piece = free(from: piece)
      }
    }
    return owner.indices.compactMap { piece in
      owner[piece].map { runs[$0].part(cuts[piece], cuts[piece + 1]) }
    }
  }
}
