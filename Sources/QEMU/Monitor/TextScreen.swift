/// A VGA in a text mode: where it takes the characters from that it shows.
///
/// Measured with QEMU 7.2, whose hw/display/vga.c (vga_draw_text, vga_get_offsets, vga_get_text_resolution) has the same: a character is the first
/// of four bytes of the display's memory, its attribute the second; the rest is the font's.
public struct TextMode: Hashable, Sendable {
  /// Where the first character lies in the display's memory, in bytes.
  public var start: Int
  public var columns: Int
  public var rows: Int
  /// From one row to the next, in bytes.
  public var rowSize: Int

  /// The index of the graphics controller's register that tells a text mode from a graphic one, behind ports 3CEH and 3CFH.
  public static let graphicsIndex: UInt8 = 6
  /// The indices of the CRT controller's registers that are needed, behind ports 3D4H and 3D5H.
  public static let controllerIndices: [UInt8] = [0x01, 0x07, 0x09, 0x0C, 0x0D, 0x12, 0x13]

  /// Nil where the display is in a graphic mode, or in none that makes sense, as before firmware has set one up.
  ///
  /// - Parameters:
  ///   - graphics: The graphics controller's register 6.
  ///   - controller: The CRT controller's registers by their indices.
  public init?(graphics: UInt8, controller: [UInt8: UInt8]) {
    let wanted = Self.controllerIndices.compactMap { index in controller[index].map { Int($0) } }
    guard wanted.count == Self.controllerIndices.count, Self.isText(graphics) else { return nil }
    let (lastColumn, overflow, maximumScan) = (wanted[0], wanted[1], wanted[2])
    let height = (wanted[5] | (overflow & 2) << 7 | (overflow & 0x40) << 3) + 1
    start = (wanted[3] << 8 | wanted[4]) * 4
    columns = lastColumn + 1
    rows = height / (maximumScan & 0x1F + 1)
    rowSize = wanted[6] * 8
    guard (20...160).contains(columns), (10...100).contains(rows), rowSize >= columns * 4 else { return nil }
  }

  /// Bit 0 of the graphics controller's register 6 is that of the graphic modes.
  private static func isText(_ graphics: UInt8) -> Bool { graphics & 1 == 0 }

  /// How many bytes of the display's memory are shown, from ``start`` on.
  public var size: Int { rows * rowSize }

  /// The rows as text, from the top, without the blanks at their ends. What is no printable ASCII is a blank: the guest wrote it.
  ///
  /// - Parameter memory: The display's memory from ``start`` on; rows that it has not are left out.
  public func lines(_ memory: [UInt8]) -> [String] {
    (0..<rows).prefix { ($0 + 1) * rowSize <= memory.count }.map { row in
      let characters = (0..<columns).map { memory[row * rowSize + $0 * 4] }
      let text = characters.map { (0x21...0x7E).contains($0) ? $0 : UInt8(ascii: " ") }
      let end = text.lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? 0
      return String(decoding: text[..<end], as: UTF8.self)
    }
  }
}

extension TextMode {
  /// Asks the human monitor for the registers. Which of them the guest had chosen is put back, so that it does not see the difference.
  ///
  /// - Parameter monitor: The text that a command prints; nil where QEMU does not answer.
  public init?(asking monitor: (String) -> String?) {
    func read(_ port: String) -> UInt8? { monitor("i /b \(port)").flatMap(Self.value) }
    func registers(_ indices: [UInt8], behind port: (index: String, data: String)) -> [UInt8: UInt8] {
      guard let chosen = read(port.index) else { return [:] }
      defer { _ = monitor("o /b \(port.index) \(chosen)") }
      var values: [UInt8: UInt8] = [:]
      for index in indices {
        _ = monitor("o /b \(port.index) \(index)")
        values[index] = read(port.data)
      }
      return values
    }
    let graphics = registers([Self.graphicsIndex], behind: ("0x3ce", "0x3cf"))[Self.graphicsIndex]
    guard let graphics, Self.isText(graphics) else { return nil }
    self.init(
      graphics: graphics, controller: registers(Self.controllerIndices, behind: ("0x3d4", "0x3d5")))
  }

  /// `portb[0x03d5] = 0x4f` (monitor/misc.c: hmp_ioport_read, 7.2).
  private static func value(_ text: String) -> UInt8? {
    guard let start = text.firstRange(of: "] = 0x")?.upperBound else { return nil }
    return UInt8(text[start...].prefix(while: \.isHexDigit), radix: 16)
  }
}
