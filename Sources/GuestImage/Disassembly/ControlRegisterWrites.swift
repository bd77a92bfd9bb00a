import X86

/// A control register that MOV can load.
public enum ControlRegister: UInt8, Hashable, Sendable, CaseIterable {
  case cr0 = 0
  case cr3 = 3
  case cr4 = 4
}

extension GuestImage {
  /// The instructions behind each `mov %reg, %cr…` of the image's executable segments, at most `limit` of them: where the
  /// register's new value is first in force.
  ///
  /// The search is for the bytes 0F 22 /r, whatever they are part of, so that code in any mode is found; data between
  /// the code can look like it. Writes by LMSW, CLTS and task switches are not found.
  public func controlRegisterWriteSites(_ register: ControlRegister, limit: Int = 64) -> [Place] {
    var sites: [Place] = []
    for segment in segments where segment.isExecutable {
      let found = file.withBytes(at: segment.fileOffset, count: segment.availableSize) { bytes in
        Self.offsetsBehindWrites(of: register, in: bytes, limit: limit - sites.count)
      }
      sites += found.map { offset in
        Place(
          virtual: LinearAddress(segment.virtualAddress.rawValue &+ offset),
          physical: PhysicalAddress(segment.physicalAddress.rawValue &+ offset), match: .virtual)
      }
    }
    return sites
  }

  /// ModRM's mod is ignored (SDM vol. 2, "MOV—Move to/from Control Registers"), its reg names the control register.
  private static func offsetsBehindWrites(
    of register: ControlRegister, in bytes: Span<UInt8>, limit: Int
  ) -> [UInt64] {
    var offsets: [UInt64] = []
    var index = 0
    while index + 2 < bytes.count, offsets.count < limit {
      if bytes[index] == 0x0F, bytes[index + 1] == 0x22, bytes[index + 2] >> 3 & 7 == register.rawValue,
        bytes[index + 2] >= 0xC0
      {
        offsets.append(UInt64(index + 3))
      }
      index += 1
    }
    return offsets
  }
}
