import Traces
import X86

extension KVMTracepoint {
  /// The guest's tables, as KVM walks them.
  static let walks: [KVMTracepoint] = [
    KVMTracepoint(
      "kvm_page_fault", ["fault_address", "error_code", "guest_rip"],
      text: [
        "vcpu {*} rip {guest_rip:x} address {fault_address:x} error_code {error_code:x}",
        "address {fault_address:x} error_code {error_code:x}",
      ]
    ) { f throws(KVMDecodingError) in
      .pageFault(address: try f.required(0), errorCode: try f.required(1), rip: f[2])
    },
    KVMTracepoint(
      "kvm_mmu_pagetable_walk", ["addr", "pferr", ".names"], text: ["addr {addr:x} pferr {pferr:x} {.names^}"]
    ) { f throws(KVMDecodingError) in
      .pagetableWalk(address: LinearAddress(try f.required(0)), access: try f.pageFaultErrorCode(1, names: 2))
    },
    KVMTracepoint(
      "kvm_mmu_paging_element", ["pte", "level"], text: ["pte {pte:x} level {level}"]
    ) { f throws(KVMDecodingError) in
      .pagingElement(entry: try f.required(0), level: try f.required(1, as: Int.self))
    },
    KVMTracepoint(
      "kvm_mmu_walker_error", ["pferr", ".names"], text: ["pferr {pferr:x} {.names^}"]
    ) { f throws(KVMDecodingError) in .walkerError(try f.pageFaultErrorCode(0, names: 1)) },
    KVMTracepoint("kvm_mmu_set_accessed_bit", ["gpa"], text: ["gpa {gpa:x}"]) { f throws(KVMDecodingError) in
      .setAccessed(address: PhysicalAddress(try f.required(0)))
    },
    KVMTracepoint("kvm_mmu_set_dirty_bit", ["gpa"], text: ["gpa {gpa:x}"]) { f throws(KVMDecodingError) in
      .setDirty(address: PhysicalAddress(try f.required(0)))
    },
  ]

  /// KVM's own tables.
  static let pageTables: [KVMTracepoint] = [
    shadowPage("kvm_mmu_get_page") { f throws(KVMDecodingError) in .get(isNew: try f.requiredFlag(4)) },
    shadowPage("kvm_mmu_sync_page") { _ in .sync },
    shadowPage("kvm_mmu_unsync_page") { _ in .unsync },
    shadowPage("kvm_mmu_prepare_zap_page") { _ in .prepareZap },
    KVMTracepoint(
      "kvm_mmu_set_spte", ["gfn", "spte", "level"],
      text: ["gfn {gfn:x} spte {spte:x} ({*}) level {level} at"]
    ) { f throws(KVMDecodingError) in
      .setSPTE(frame: try f.required(0), entry: try f.required(1), level: try f.required(2, as: Int.self))
    },
    KVMTracepoint(
      "kvm_tdp_mmu_spte_changed", ["gfn", "old_spte", "new_spte", "level"],
      text: ["as id {*} gfn {gfn:x} level {level} old_spte {old_spte:x} new_spte {new_spte:x}"]
    ) { f throws(KVMDecodingError) in
      .spteChanged(
        frame: try f.required(0), old: try f.required(1), new: try f.required(2), level: try f.required(3, as: Int.self)
      )
    },
    KVMTracepoint(
      "kvm_mmu_spte_requested", ["gfn", "pfn", "level"], text: ["gfn {gfn:x} pfn {pfn:x} level {level}"]
    ) { f throws(KVMDecodingError) in
      .spteRequested(frame: try f.required(0), hostFrame: try f.required(1), level: try f.required(2, as: Int.self))
    },
    KVMTracepoint(
      "mark_mmio_spte", ["gfn", "access"], text: ["sptep:{*} gfn {gfn:x} access {access:x} gen"]
    ) { f throws(KVMDecodingError) in
      .markMMIO(frame: try f.required(0), access: try f.required(1, as: UInt32.self))
    },
    KVMTracepoint(
      "handle_mmio_page_fault", ["addr", "gfn", "access"], text: ["addr:{addr:x} gfn {gfn:x} access {access:x}"]
    ) { f throws(KVMDecodingError) in
      .mmioPageFault(address: try f.required(0), frame: try f.required(1), access: try f.required(2, as: UInt32.self))
    },
    KVMTracepoint(
      "check_mmio_spte", ["spte", "kvm_gen", "spte_gen", ".valid"],
      text: ["spte {spte:x} kvm_gen {kvm_gen:x} spte-gen {spte_gen:x} valid {.valid}"]
    ) { f throws(KVMDecodingError) in
      .checkMMIO(entry: try f.required(0), isValid: try f.required(1) == f.required(2))
    },
    KVMTracepoint(
      "vcpu_match_mmio", ["gva", "gpa", "write"], text: ["gva {gva:x} gpa {gpa:x} {write=Write:1|Read:0}"]
    ) { f throws(KVMDecodingError) in
      .matchMMIO(
        linear: LinearAddress(try f.required(0)), physical: PhysicalAddress(try f.required(1)),
        isWrite: try f.requiredFlag(2))
    },
    KVMTracepoint(
      "fast_page_fault", ["vcpu_id", "cr2_or_gpa|gva", "old_spte", "new_spte"],
      text: ["vcpu {vcpu_id} gva {cr2_or_gpa:x} error_code {*} sptep {*} old {old_spte:x} new {new_spte:x}"]
    ) { f throws(KVMDecodingError) in
      .fastPageFault(
        vcpu: try f.required(0, as: Int.self), address: try f.required(1), old: try f.required(2),
        new: try f.required(3))
    },
    zapAll("kvm_mmu_zap_all_fast"),
    zapAll("kvm_mmu_invalidate_zap_all_pages"),
    KVMTracepoint(
      "kvm_mmu_split_huge_page", ["gfn", "level", "errno"],
      text: ["gfn {gfn:x} spte {*} level {level} errno {errno}"]
    ) { f throws(KVMDecodingError) in
      .splitHugePage(
        frame: try f.required(0), level: try f.required(1, as: Int.self), errno: try f.required(2, as: Int32.self))
    },
  ]

  private static func zapAll(_ name: String) -> KVMTracepoint {
    KVMTracepoint(
      name, ["mmu_used_pages"], text: ["kvm-mmu-valid-gen {*} used_pages {mmu_used_pages:x}"]
    ) { f throws(KVMDecodingError) in .zapAll(pageCount: try f.required(0, as: UInt32.self)) }
  }

  private static func shadowPage(
    _ name: String,
    action: @escaping @Sendable (KVMFieldValues) throws(KVMDecodingError) -> KVMShadowPage.Action
  ) -> KVMTracepoint {
    KVMTracepoint(
      name, ["gfn", "role", "root_count", "unsync", "created"], readText: KVMShadowPage.readText
    ) { f throws(KVMDecodingError) in
      .shadowPage(
        KVMShadowPage(
          action: try action(f), frame: f[0], role: try f.required(1, as: UInt32.self),
          rootCount: try f.required(2, as: UInt32.self), isUnsynchronized: try f.requiredFlag(3)))
    }
  }
}

extension KVMFieldValues {
  /// The error code, if the names that a text prints after it agree: they show a line that was cut.
  fileprivate func pageFaultErrorCode(
    _ index: Int, names namesIndex: Int
  ) throws(KVMDecodingError) -> PageFaultErrorCode {
    let value = try required(index, as: UInt32.self)
    if let names = self[namesIndex], names != value {
      throw .contradiction("the error code \(String(value, radix: 16)) and its names disagree")
    }
    return PageFaultErrorCode(rawValue: value)
  }
}

extension KVMShadowPage {
  /// Reads the kernel's form and that of trace-cmd's kvm plugin:
  ///
  ///     sp gen 0 gfn 0 l2 8-byte q0 direct wux nxe ad root 0 sync new     5.15 to 6.19
  ///     sp gfn 0 2 q0 direct wux pae nxe root 0 sync new                  4.x
  ///     new sp gfn 0 2 q0 direct wux !pae nxe !wp root 0 sync             the plugin
  ///     2 q0 direct wux !pae nxe !wp root 1 sync                          the plugin, for all but kvm_mmu_get_page
  static func readText(_ text: Span<UInt8>) -> KVMFieldValues? {
    var values = KVMFieldValues()
    var role: UInt64 = 0
    var level: UInt64?
    var cursor = TextCursor(text)
    while true {
      cursor.skipBlanks()
      let word = cursor.takeWord()
      if word.isEmpty { break }
      if word.equals("new") || word.equals("existing") {
        values[4] = word.equals("new") ? 1 : 0
      } else if word.equals("gfn") || word.equals("root") || word.equals("gen") {
        cursor.skipBlanks()
        guard let value = word.equals("gfn") ? cursor.takeHexadecimal() : cursor.takeDecimal() else { return nil }
        if word.equals("gfn") { values[0] = value }
        if word.equals("root") { values[2] = value }
      } else if word.equals("sync") || word.equals("unsync") {
        values[3] = word.equals("unsync") ? 1 : 0
      } else if word.equals("direct") {
        role |= 1 << 7
      } else if let access = access(word) {
        role |= access << 8
      } else if let quadrant = number(in: word, after: "q") {
        role |= (quadrant & 3) << 5
      } else if level == nil {
        level = number(in: word, after: "l") ?? number(in: word, after: "")
      }
    }
    guard let level, values[2] != nil, values[3] != nil else { return nil }
    values[1] = role | level & 0xf
    return values
  }

  private static func number(in word: Span<UInt8>, after prefix: String) -> UInt64? {
    var cursor = TextCursor(word)
    guard cursor.skip(prefix), let value = cursor.takeDecimal(), cursor.isAtEnd else { return nil }
    return value
  }

  /// `wux`, `--x`: write, user, execute.
  private static func access(_ word: Span<UInt8>) -> UInt64? {
    guard word.count == 3 else { return nil }
    var access: UInt64 = 0
    for (index, letter) in "wux".utf8.enumerated() {
      if word[index] == letter {
        access |= [2, 4, 1][index]
      } else if word[index] != UInt8(ascii: "-") {
        return nil
      }
    }
    return access
  }
}
