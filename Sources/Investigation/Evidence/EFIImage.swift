import X86

/// A PE image that EFI firmware loaded: a driver of its own, or an application.
///
/// The loader puts an image's headers before its sections, at the beginning of a page, and writes that place into them (EDK2
/// stable202211 MdePkg/Library/BasePeCoffLib: PeCoffLoaderLoadImage, PeCoffLoaderRelocateImage; seen of OVMF 2022.11). So headers that
/// were merely copied are told from those of an image, such as Linux's, which QEMU puts at 10000H with `-kernel`.
struct EFIImage: Hashable {
  let base: LinearAddress
  let kind: Kind
  /// Whether ResetSystem of EFI's runtime services leads into the image.
  let resetsSystem: Bool

  /// The optional header's Subsystem (Microsoft's PE format, Windows Subsystem; UEFI 2.10, 2.1.1).
  enum Kind: UInt16 {
    case application = 10
    case bootServiceDriver = 11
    case runtimeDriver = 12
    case rom = 13

    /// With its article.
    var words: String {
      switch self {
      case .application: "an EFI application"
      case .bootServiceDriver: "a boot-time driver of the EFI firmware"
      case .runtimeDriver: "a runtime driver of the EFI firmware"
      case .rom: "an image in the EFI firmware's ROM"
      }
    }
  }

  /// How far below RIP the image that holds it may begin.
  private static let longestWay: UInt64 = 16 << 20
  /// How much of an image is searched for its pointer to the runtime services.
  private static let mostSearched: UInt64 = 1 << 20

  /// The image that RIP lies in; nil where it lies in none, or in one of another kind, as of Windows itself.
  ///
  /// What is searched is not noted by memory that notes what is read, but what is found.
  init?(at state: ProcessorState, in memory: any PhysicalMemory) {
    guard let paging = Paging(state, rules: PagingRules()) else { return nil }
    let space = AddressSpace(paging: paging, memory: memory, searched: (memory as? any NotingMemory)?.plain ?? memory)
    let pointer = state.instructionAddress.rawValue
    let lowest = pointer - min(pointer, Self.longestWay)
    for page in stride(from: pointer & ~0xFFF, through: lowest, by: -0x1000) {
      guard let headers = Headers(at: page, in: space), pointer - page < headers.imageSize,
        [page, space.physical(page)].contains(headers.base)
      else { continue }
      _ = space.noted(page, 0x1000)
      guard let kind = Kind(rawValue: headers.subsystem) else { return nil }
      base = LinearAddress(page)
      self.kind = kind
      resetsSystem = kind == .runtimeDriver && Self.holdsResetSystem(headers, page, space)
      return
    }
    return nil
  }

  /// Whether the image has a pointer to the runtime services, and their ResetSystem is in the image. EDK2's drivers keep one
  /// (UefiRuntimeServicesTableLib: gRT), which SetVirtualAddressMap brings up to date.
  private static func holdsResetSystem(_ headers: Headers, _ base: UInt64, _ space: AddressSpace) -> Bool {
    let width = headers.pointerSize
    for way in stride(from: 0, to: min(headers.imageSize, mostSearched), by: 0x1000) {
      let page = base &+ way
      guard let bytes = space.plain(page, 0x1000) else { continue }
      for offset in stride(from: 0, to: bytes.count, by: width) {
        let table = UInt64(littleEndian: bytes[offset..<offset + width])
        guard table != 0, table % 8 == 0, space.plain(table, 8) == RuntimeServices.signature else { continue }
        // ResetSystem is the eleventh of the functions behind the table's header (UEFI 2.10, 4.2.1 and 4.5.1).
        let entry = table &+ 24 &+ UInt64(10 * width)
        guard let function = space.noted(entry, width),
          UInt64(littleEndian: function[...]) &- base < headers.imageSize
        else {
          continue
        }
        _ = (space.noted(page &+ UInt64(offset), width), space.noted(table, 8))
        return true
      }
    }
    return false
  }

  private enum RuntimeServices {
    static let signature = Array("RUNTSERV".utf8)
  }

  /// What is read of an image's headers.
  private struct Headers {
    /// In bytes, headers included.
    let imageSize: UInt64
    let subsystem: UInt16
    /// Where the image was put, before EFI's runtime services were given virtual addresses.
    let base: UInt64
    /// In bytes, 4 or 8.
    let pointerSize: Int

    /// Nil where no PE image begins.
    init?(at page: UInt64, in space: AddressSpace) {
      guard space.plain(page, 2) == Array("MZ".utf8), let bytes = space.plain(page, 0x1000) else { return nil }
      func number(_ offset: Int, _ size: Int) -> UInt64 { UInt64(littleEndian: bytes[offset..<offset + size]) }
      // e_lfanew leads to the signature; 20 bytes of COFF header are between that and the optional header.
      let signature = Int(number(0x3C, 4))
      guard signature <= bytes.count - 96, number(signature, 4) == 0x4550 else { return nil }
      switch number(signature + 24, 2) {
      case 0x10B: (pointerSize, base) = (4, number(signature + 52, 4))
      case 0x20B: (pointerSize, base) = (8, number(signature + 48, 8))
      default: return nil
      }
      imageSize = number(signature + 80, 4)
      subsystem = UInt16(truncatingIfNeeded: number(signature + 92, 2))
    }
  }

  /// The guest's memory by linear addresses.
  private struct AddressSpace {
    let paging: Paging
    let memory: any PhysicalMemory
    let searched: any PhysicalMemory

    func plain(_ address: UInt64, _ count: Int) -> [UInt8]? {
      try? paging.bytes(
        at: LinearAddress(address), count: count, for: PageAccess(.read, by: .supervisor), in: searched)
    }

    func physical(_ address: UInt64) -> UInt64? {
      paging.walk(LinearAddress(address), for: PageAccess(.read, by: .supervisor), in: searched).outcome
        .physicalAddress?.rawValue
    }

    func noted(_ address: UInt64, _ count: Int) -> [UInt8]? {
      try? paging.bytes(at: LinearAddress(address), count: count, for: PageAccess(.read, by: .supervisor), in: memory)
    }
  }
}

extension EFIImage {
  var evidence: Evidence {
    let more = resetsSystem ? ", and its own pointer to EFI's runtime services has ResetSystem in it" : ""
    return Evidence(
      "RIP lies in the PE image at \(base.rawValue.hexadecimal), whose subsystem is \(kind.rawValue): \(kind.words)\(more)",
      .guestMemory)
  }

  /// `EFI's ResetSystem (a runtime driver of the firmware, the PE image at 0x76e1000)`, or what else the image is.
  var words: String {
    let place = "the PE image at \(base.rawValue.hexadecimal)"
    return resetsSystem ? "EFI's ResetSystem (a runtime driver of the firmware, \(place))" : "\(kind.words) (\(place))"
  }
}
