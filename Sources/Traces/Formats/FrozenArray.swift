/// An array that is written once and read in an inner loop.
///
/// Reading an element of an `Array` that a class holds takes and gives back a reference, which costs more than most
/// steps of a print program. This one is an address and a count; it belongs to the object that made it, which must
/// deallocate it and must not hand it out. Elements hold no references.
@safe
struct FrozenArray<Element: BitwiseCopyable & Sendable>: @unchecked Sendable {
  private let base: UnsafeMutablePointer<Element>
  let count: Int

  init(_ elements: [Element]) {
    count = elements.count
    unsafe base = .allocate(capacity: max(count, 1))
    for (index, element) in elements.enumerated() { unsafe (base + index).initialize(to: element) }
  }

  func deallocate() { unsafe base.deallocate() }

  @inline(__always)
  subscript(index: Int) -> Element {
    precondition(index >= 0 && index < count, "an index that the compiler of print formats does not make")
    return unsafe base[index]
  }

  /// Calls `body` with the address of the elements from `offset` on, and their number.
  @inline(__always)
  func withElements(from offset: Int, _ body: (UnsafePointer<Element>, Int) -> Void) {
    precondition(offset >= 0 && offset <= count, "an index that the compiler of print formats does not make")
    unsafe body(UnsafePointer(base + offset), count &- offset)
  }
}
