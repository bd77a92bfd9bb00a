import QEMU
import X86

extension CapturedMemory {
  /// The lines of the VGA's text screen; empty where there is no VGA, where it is in a graphic mode, and where its memory cannot be read.
  ///
  /// The window at A0000H is a device's. The display's memory itself is RAM, in the PCI display's first region.
  ///
  /// - Parameter monitor: Asks QEMU's human monitor.
  func textScreen(asking monitor: (String) -> String?) -> [String] {
    guard let display = map?.ranges.first(where: { $0.name == "vga.vram" && $0.kind == .ram && $0.offset == 0 }),
      let mode = TextMode(asking: monitor)
    else { return [] }
    var bytes = [UInt8](repeating: 0, count: mode.size)
    var span = bytes.mutableSpan
    guard (try? read(PhysicalAddress(display.first.rawValue &+ UInt64(mode.start)), into: &span)) != nil else {
      return []
    }
    return mode.lines(bytes)
  }
}
