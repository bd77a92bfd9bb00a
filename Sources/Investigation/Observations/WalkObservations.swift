import GuestImage
import X86

extension FirstFault {
  /// That what is executed is no part of the guest's image, by its linear address or its physical one.
  func strayObservation(in scene: Scene) -> Evidence? {
    guard let instant, let image = scene.image, instant.currentPrivilegeLevel == 0, instant.state.mode != .real,
      case let pointer = instant.state.instructionAddress, image.place(of: pointer.rawValue) == nil,
      case .physical(let place) = instant.translate(pointer, for: PageAccess(.read, by: .supervisor)),
      image.place(of: place) == nil, instant.memory.holds(place)
    else { return nil }
    return Evidence(
      "RIP, \(pointer.rawValue.hexadecimal), is at physical \(place.rawValue.hexadecimal), where nothing of the guest's image was loaded: unless code was copied there, something led astray before, and the fault is only what came of it",
      .guestMemory)
  }

  /// What the failed walk shows besides its end, of mistakes that people make with tables.
  var walkObservations: [Evidence] {
    guard let access = exception.access else { return [] }
    return
      (access.steps.enumerated().compactMap { ignoredPageSize($1, at: $0, of: access) }
      + access.steps.compactMap { entryOfVectors($0, of: access) })
  }

  /// Bit 7 of a 32-bit PDE means a 4 MiB page only with CR4.PSE (SDM vol. 3, 4.3).
  private func ignoredPageSize(_ step: FailedAccess.Step, at index: Int, of access: FailedAccess) -> Evidence? {
    guard access.format == .twoLevel, step.structure == .pageDirectory, step.entry.isPresent,
      step.entry.pageSizeBit
    else { return nil }
    return Evidence(
      "The \(step.structure.entryName) \(step.entry.rawValue.hexadecimal) has bit 7 (PS) set, which means a 4 MiB page only while CR4.PSE (bit 4) is set. It is clear, so the entry was taken for one that leads to a page table at physical \(step.entry.table.rawValue.hexadecimal)",
      step.source)
  }

  /// The first 400H bytes of memory are real mode's vectors, and no page table.
  private func entryOfVectors(_ step: FailedAccess.Step, of access: FailedAccess) -> Evidence? {
    guard let place = step.entryAddress, place.rawValue < 0x400 else { return nil }
    return Evidence(
      "The \(step.structure.entryName) \(step.entry.rawValue.hexadecimal) was read at physical \(place.rawValue.hexadecimal), where firmware has real mode's interrupt vectors: what leads there, CR3 or the entry above, is not what was meant",
      step.source)
  }
}

extension PhysicalMemory {
  /// Whether there is memory that was read.
  fileprivate func holds(_ address: PhysicalAddress) -> Bool { (try? bytes(at: address, count: 1)) != nil }
}
