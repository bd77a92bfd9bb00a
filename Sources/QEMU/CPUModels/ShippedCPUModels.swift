import X86

extension CPUModelTable {
  /// The tables that Inquest ships, by the age of their QEMU. `Scripts/cpu-models` makes them.
  public static let shippedTables: [Self] = [QEMU72CPUModels.text].compactMap { try? Self($0) }

  /// The models of the QEMU that Inquest was made with, for where no other is at hand.
  public static let shipped =
    shippedTables.last
    ?? Self(
      version: "", models: [], aliases: [:], knownFeatures: [:], tcgFeatures: [:], kvmDefaults: nil,
      tcgDefaults: Defaults())
}
