import QEMU
import X86

extension Scene {
  /// What /proc/cpuinfo or lscpu in a log prove of the processor that they are of.
  var processorListingObservations: [Evidence] {
    log.flatMap { entry -> [Evidence] in
      guard case .processorListing(let listing) = entry.value else { return [] }
      return (listing.identityWords + levelWords(of: listing) + listing.modelWords + virtualizationWords(of: listing))
        .map {
          Evidence($0, entry.source)
        }
    }
  }

  /// What a level of x86-64 needs that the flags do not have, where a program asked for one.
  private func levelWords(of listing: ProcessorListing) -> [String] {
    guard let wanted = statement(.missingLevel)?.value.level, !listing.flags.isEmpty else { return [] }
    let flags = Set(listing.flags.map(String.init))
    let missing = wanted.features.filter { !$0.linuxNames.isEmpty && flags.isDisjoint(with: $0.linuxNames) }
    guard !missing.isEmpty else { return [] }
    let present = wanted.ownFeatures.filter { !flags.isDisjoint(with: $0.linuxNames) }
    var text = "For \(wanted.name) the flags lack \(missing.map(\.linuxSpelling).joined(separator: ", "))"
    if !present.isEmpty {
      text += "; of what it asks for they have \(present.map(\.linuxSpelling).joined(separator: ", "))"
    }
    return [text]
      + (listing.isVirtual
        ? [
          "The flag hypervisor is there: the processor is a virtual one, so the machine's CPU model (-cpu) can be changed"
        ] : [])
  }

  /// EPT without an unrestricted guest: real mode is emulated.
  private func virtualizationWords(of listing: ProcessorListing) -> [String] {
    let isIntel = listing.flags.contains("vmx")
    guard isIntel, !listing.isVirtual else {
      return listing.isVirtual && (listing.flags.contains("vmx") || listing.flags.contains("svm"))
        ? [
          "The processor has vmx or svm and the flag hypervisor: the host is itself a virtual machine, and its guests are nested"
        ] : []
    }
    let hasEPT = listing.flags.contains("ept")
    if !hasEPT {
      return [
        "The host's processor has no EPT: KVM walks the guest's tables itself and has no unrestricted guest, so that real mode's code is emulated where VMX cannot run it"
      ]
    }
    let name = listing.signature?.intelName.map { " (\($0))" } ?? ""
    switch listing.signature?.hasUnrestrictedGuest {
    case false?:
      return [
        "The host's processor\(name) has EPT but no unrestricted guest: KVM emulates real mode's code that VMX cannot run, big real mode above all"
      ]
    case nil where listing.looksLikeNehalem:
      return [
        "The host's flags have EPT and VPID but none of Westmere's (aes, pclmulqdq): Nehalem's generation, or a Westmere sold without AES. Nehalem has no unrestricted guest: KVM emulates there what VMX "
          + "cannot run of real mode's code"
      ]
    default: return []
    }
  }
}

extension ProcessorListing {
  /// Family and model, where shown.
  var signature: ProcessorSignature? {
    guard let family = values["cpu family"].flatMap({ Int($0) }), let model = values["model"].flatMap({ Int($0) })
    else { return nil }
    return ProcessorSignature(family: family, model: model, stepping: values["stepping"].flatMap { Int($0) } ?? 0)
  }

  fileprivate var identityWords: [String] {
    if let vendor = values["hypervisor vendor"] {
      return [
        "The system that the listing is of names \(vendor) as the hypervisor below it: it is a virtual machine itself, so its guests are nested"
      ]
    }
    guard let signature, let name = values["model name"] else { return [] }
    return ["A processor is listed: \(name), \(signature.words)"]
  }

  /// The flags of a virtual processor with hardly more than the first x86-64 processors had (QEMU 7.2 target/i386/cpu.c: qemu64, kvm64).
  fileprivate var modelWords: [String] {
    let own = Set(flags)
    guard isVirtual, values["model name"] == nil, own.contains("lm"),
      own.isDisjoint(with: ["ssse3", "sse4_1", "popcnt", "avx", "xsave", "aes"])
    else { return [] }
    return [
      "The flags have little beyond the first x86-64 processors (no ssse3, popcnt, xsave): as QEMU's basic models qemu64, its default, and kvm64 have, not as a host's own processor"
    ]
  }

  /// Westmere brought AES and PCLMULQDQ with unrestricted guests; models sold without AES are the exception that makes this no proof of
  /// the model, only of the generation where POPCNT is the newest flag.
  fileprivate var looksLikeNehalem: Bool {
    flags.contains("ept") && flags.contains("popcnt") && !flags.contains("aes") && !flags.contains("pclmulqdq")
      && !flags.contains("avx") && !flags.contains("xsave")
  }
}

extension ProcessorFeature {
  /// The name as /proc/cpuinfo has it.
  fileprivate var linuxSpelling: String { linuxNames.first ?? name }
}
