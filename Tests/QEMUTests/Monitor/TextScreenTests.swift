import QEMU
import Testing

@Suite("the VGA's text screen")
struct TextScreenTests {
  /// Mode 3 as SeaBIOS's VGA BIOS sets it up, of QEMU 7.2 (read with `i` and `o` in its monitor).
  static let mode3: [UInt8: UInt8] = [
    0x01: 0x4F, 0x07: 0x1F, 0x09: 0x4F, 0x0C: 0, 0x0D: 0, 0x12: 0x8F, 0x13: 0x28,
  ]

  /// A monitor that reads and writes the ports of a VGA.
  private final class Ports {
    var chosen: [String: UInt8] = ["0x3ce": 5, "0x3d4": 0x0F]
    var registers: [String: [UInt8: UInt8]]

    init(graphics: UInt8, _ controller: [UInt8: UInt8]) {
      registers = ["0x3cf": [6: graphics], "0x3d5": controller]
    }

    func answer(_ line: String) -> String? {
      let words = line.split(separator: " ").map(String.init)
      if words[0] == "o" {
        chosen[words[2]] = UInt8(words[3])
        return ""
      }
      let index = words[2] == "0x3cf" ? "0x3ce" : "0x3d4"
      let value = chosen[words[2]] ?? registers[words[2]]?[chosen[index] ?? 0] ?? 0xFF
      return "portb[0x0\(words[2].dropFirst(2))] = 0x\(String(value, radix: 16))\r\n"
    }
  }

  @Test("the registers are asked for, and the guest's choice among them is left as it was")
  func asking() {
    let ports = Ports(graphics: 0x0E, Self.mode3)
    let mode = TextMode(asking: ports.answer)
    #expect(mode?.columns == 80 && mode?.rows == 25 && mode?.rowSize == 320 && mode?.start == 0)
    #expect(ports.chosen == ["0x3ce": 5, "0x3d4": 0x0F])
  }

  @Test("a page that was scrolled to begins elsewhere")
  func start() {
    var registers = Self.mode3
    registers[0x0C] = 0x01
    registers[0x0D] = 0x40
    #expect(TextMode(graphics: 0x0E, controller: registers)?.start == 0x140 * 4)
  }

  @Test("a graphic mode, registers that nobody set, and no VGA are no text mode")
  func others() {
    #expect(TextMode(graphics: 0x05, controller: Self.mode3) == nil)
    #expect(TextMode(graphics: 0, controller: Self.mode3.mapValues { _ in 0 }) == nil)
    #expect(TextMode(asking: { _ in nil }) == nil)
    #expect(TextMode(asking: { _ in "portb[0x03d5] = 0xff\r\n" }) == nil)
    #expect(TextMode(asking: { _ in "unknown command: 'i'\r\n" }) == nil)
  }

  @Test("characters are every fourth byte; what is no ASCII is a blank; rows that are not there are left out")
  func lines() throws {
    let mode = try #require(TextMode(graphics: 0x0E, controller: Self.mode3))
    var memory = [UInt8](repeating: 0x07, count: mode.size)
    for index in stride(from: 0, to: memory.count, by: 4) { memory[index] = 0 }
    for (index, byte) in [0x41, 0x1B, 0xC9, 0x62, 0x20].enumerated() { memory[320 + index * 4] = UInt8(byte) }
    let lines = mode.lines(memory)
    #expect(lines.count == 25)
    #expect(lines[0].isEmpty && lines[1] == "A  b")
    #expect(mode.lines(Array(memory.prefix(700))).count == 2)
    #expect(mode.lines([]).isEmpty)
  }
}
