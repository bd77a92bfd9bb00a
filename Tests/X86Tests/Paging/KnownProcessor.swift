import X86

/// A processor of which all is known, and its reserved bits stated as one mask for each kind of entry.
///
/// This is the table of KVM's `mmu.c: __reset_rsvds_bits_mask` written out by hand; the library states the same as
/// rules with unknown inputs.
struct KnownProcessor: Hashable {
  var hasGiBPages: Bool
  var maximumPhysicalAddressBits: Int
  var executeDisableEnabled: Bool
  var isAMD: Bool

  func reservedMask(level: Int, pageSizeBit: Bool) -> UInt64 {
    var mask: UInt64 = 0
    for bit in 0...51 where bit >= maximumPhysicalAddressBits { mask |= 1 << UInt64(bit) }
    if !executeDisableEnabled { mask |= 0x8000_0000_0000_0000 }
    switch (level, pageSizeBit) {
    case (4, _), (5, _):
      mask |= 0x80
      if isAMD { mask |= 0x100 }
    case (3, true):
      mask |= 0x3FFF_E000
      if !hasGiBPages { mask |= 0x80 }
    case (2, true):
      mask |= 0x1F_E000
    default: break
    }
    return mask
  }

  func refuses(_ entry: UInt64, level: Int) -> Bool {
    entry & 1 != 0 && entry & reservedMask(level: level, pageSizeBit: entry & 0x80 != 0) != 0
  }
}

extension PagingRules {
  /// The processors that the known inputs leave possible.
  ///
  /// Of an unknown MAXPHYADDR only the extremes are given: the narrower it is, the more is reserved, so that what
  /// holds for 32 and for 52 decides for all between.
  var possibleProcessors: [KnownProcessor] {
    let both = [false, true]
    var processors: [KnownProcessor] = []
    for gib in hasGiBPages.map({ [$0] }) ?? both {
      for bits in maximumPhysicalAddressBits.map({ [$0] }) ?? [32, 52] {
        for nx in executeDisableEnabled.map({ [$0] }) ?? both {
          for amd in isAMD.map({ [$0] }) ?? both {
            processors.append(
              KnownProcessor(
                hasGiBPages: gib, maximumPhysicalAddressBits: bits, executeDisableEnabled: nx, isAMD: amd))
          }
        }
      }
    }
    return processors
  }

  init(_ processor: KnownProcessor) {
    self.init(
      hasGiBPages: processor.hasGiBPages, maximumPhysicalAddressBits: processor.maximumPhysicalAddressBits,
      executeDisableEnabled: processor.executeDisableEnabled, isAMD: processor.isAMD)
  }

  /// Every mixture of known and unknown inputs, with these widths of a physical address.
  static func mixtures(widths: [Int?]) -> [PagingRules] {
    let states: [Bool?] = [nil, false, true]
    return states.flatMap { gib in
      widths.flatMap { width in
        states.flatMap { nx in
          states.map { amd in
            PagingRules(
              hasGiBPages: gib, maximumPhysicalAddressBits: width, executeDisableEnabled: nx, isAMD: amd)
          }
        }
      }
    }
  }
}
