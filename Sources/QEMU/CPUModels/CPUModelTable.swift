// Made by Scripts/cpu-models.swift from QEMU 7.2.22. Do not edit.

/// The CPU models of QEMU 7.2.22, one a line: `alias = name`, or the name, the vendor (`-` for none)
/// and those of the `features` that the model's definition has.
enum CPUModelTable {
  static let version = "7.2"

  static let features = "pdpe1gb nx lm la57 pse36"

  static let rows = """
    486 = 486-v1
    486-v1 GenuineIntel
    Broadwell = Broadwell-v1
    Broadwell-IBRS = Broadwell-v3
    Broadwell-noTSX = Broadwell-v2
    Broadwell-noTSX-IBRS = Broadwell-v4
    Broadwell-v1 GenuineIntel nx lm pse36
    Broadwell-v2 GenuineIntel nx lm pse36
    Broadwell-v3 GenuineIntel nx lm pse36
    Broadwell-v4 GenuineIntel nx lm pse36
    Cascadelake-Server = Cascadelake-Server-v1
    Cascadelake-Server-noTSX = Cascadelake-Server-v3
    Cascadelake-Server-v1 GenuineIntel pdpe1gb nx lm pse36
    Cascadelake-Server-v2 GenuineIntel pdpe1gb nx lm pse36
    Cascadelake-Server-v3 GenuineIntel pdpe1gb nx lm pse36
    Cascadelake-Server-v4 GenuineIntel pdpe1gb nx lm pse36
    Cascadelake-Server-v5 GenuineIntel pdpe1gb nx lm pse36
    Conroe = Conroe-v1
    Conroe-v1 GenuineIntel nx lm pse36
    Cooperlake = Cooperlake-v1
    Cooperlake-v1 GenuineIntel pdpe1gb nx lm pse36
    Cooperlake-v2 GenuineIntel pdpe1gb nx lm pse36
    Denverton = Denverton-v1
    Denverton-v1 GenuineIntel pdpe1gb nx lm pse36
    Denverton-v2 GenuineIntel pdpe1gb nx lm pse36
    Denverton-v3 GenuineIntel pdpe1gb nx lm pse36
    Dhyana = Dhyana-v1
    Dhyana-v1 HygonGenuine pdpe1gb nx lm pse36
    Dhyana-v2 HygonGenuine pdpe1gb nx lm pse36
    EPYC = EPYC-v1
    EPYC-IBPB = EPYC-v2
    EPYC-Milan = EPYC-Milan-v1
    EPYC-Milan-v1 AuthenticAMD pdpe1gb nx lm pse36
    EPYC-Rome = EPYC-Rome-v1
    EPYC-Rome-v1 AuthenticAMD pdpe1gb nx lm pse36
    EPYC-Rome-v2 AuthenticAMD pdpe1gb nx lm pse36
    EPYC-v1 AuthenticAMD pdpe1gb nx lm pse36
    EPYC-v2 AuthenticAMD pdpe1gb nx lm pse36
    EPYC-v3 AuthenticAMD pdpe1gb nx lm pse36
    Haswell = Haswell-v1
    Haswell-IBRS = Haswell-v3
    Haswell-noTSX = Haswell-v2
    Haswell-noTSX-IBRS = Haswell-v4
    Haswell-v1 GenuineIntel nx lm pse36
    Haswell-v2 GenuineIntel nx lm pse36
    Haswell-v3 GenuineIntel nx lm pse36
    Haswell-v4 GenuineIntel nx lm pse36
    Icelake-Server = Icelake-Server-v1
    Icelake-Server-noTSX = Icelake-Server-v2
    Icelake-Server-v1 GenuineIntel pdpe1gb nx lm la57 pse36
    Icelake-Server-v2 GenuineIntel pdpe1gb nx lm la57 pse36
    Icelake-Server-v3 GenuineIntel pdpe1gb nx lm la57 pse36
    Icelake-Server-v4 GenuineIntel pdpe1gb nx lm la57 pse36
    Icelake-Server-v5 GenuineIntel pdpe1gb nx lm la57 pse36
    Icelake-Server-v6 GenuineIntel pdpe1gb nx lm la57 pse36
    IvyBridge = IvyBridge-v1
    IvyBridge-IBRS = IvyBridge-v2
    IvyBridge-v1 GenuineIntel nx lm pse36
    IvyBridge-v2 GenuineIntel nx lm pse36
    KnightsMill = KnightsMill-v1
    KnightsMill-v1 GenuineIntel pdpe1gb nx lm pse36
    Nehalem = Nehalem-v1
    Nehalem-IBRS = Nehalem-v2
    Nehalem-v1 GenuineIntel nx lm pse36
    Nehalem-v2 GenuineIntel nx lm pse36
    Opteron_G1 = Opteron_G1-v1
    Opteron_G1-v1 AuthenticAMD nx lm pse36
    Opteron_G2 = Opteron_G2-v1
    Opteron_G2-v1 AuthenticAMD nx lm pse36
    Opteron_G3 = Opteron_G3-v1
    Opteron_G3-v1 AuthenticAMD nx lm pse36
    Opteron_G4 = Opteron_G4-v1
    Opteron_G4-v1 AuthenticAMD pdpe1gb nx lm pse36
    Opteron_G5 = Opteron_G5-v1
    Opteron_G5-v1 AuthenticAMD pdpe1gb nx lm pse36
    Penryn = Penryn-v1
    Penryn-v1 GenuineIntel nx lm pse36
    SandyBridge = SandyBridge-v1
    SandyBridge-IBRS = SandyBridge-v2
    SandyBridge-v1 GenuineIntel nx lm pse36
    SandyBridge-v2 GenuineIntel nx lm pse36
    Skylake-Client = Skylake-Client-v1
    Skylake-Client-IBRS = Skylake-Client-v2
    Skylake-Client-noTSX-IBRS = Skylake-Client-v3
    Skylake-Client-v1 GenuineIntel nx lm pse36
    Skylake-Client-v2 GenuineIntel nx lm pse36
    Skylake-Client-v3 GenuineIntel nx lm pse36
    Skylake-Client-v4 GenuineIntel nx lm pse36
    Skylake-Server = Skylake-Server-v1
    Skylake-Server-IBRS = Skylake-Server-v2
    Skylake-Server-noTSX-IBRS = Skylake-Server-v3
    Skylake-Server-v1 GenuineIntel pdpe1gb nx lm pse36
    Skylake-Server-v2 GenuineIntel pdpe1gb nx lm pse36
    Skylake-Server-v3 GenuineIntel pdpe1gb nx lm pse36
    Skylake-Server-v4 GenuineIntel pdpe1gb nx lm pse36
    Skylake-Server-v5 GenuineIntel pdpe1gb nx lm pse36
    Snowridge = Snowridge-v1
    Snowridge-v1 GenuineIntel pdpe1gb nx lm pse36
    Snowridge-v2 GenuineIntel pdpe1gb nx lm pse36
    Snowridge-v3 GenuineIntel pdpe1gb nx lm pse36
    Snowridge-v4 GenuineIntel pdpe1gb nx lm pse36
    Westmere = Westmere-v1
    Westmere-IBRS = Westmere-v2
    Westmere-v1 GenuineIntel nx lm pse36
    Westmere-v2 GenuineIntel nx lm pse36
    athlon = athlon-v1
    athlon-v1 AuthenticAMD pse36
    base -
    core2duo = core2duo-v1
    core2duo-v1 GenuineIntel nx lm pse36
    coreduo = coreduo-v1
    coreduo-v1 GenuineIntel nx
    kvm32 = kvm32-v1
    kvm32-v1 GenuineIntel pse36
    kvm64 = kvm64-v1
    kvm64-v1 GenuineIntel nx lm pse36
    n270 = n270-v1
    n270-v1 GenuineIntel nx
    pentium = pentium-v1
    pentium-v1 GenuineIntel
    pentium2 = pentium2-v1
    pentium2-v1 GenuineIntel pse36
    pentium3 = pentium3-v1
    pentium3-v1 GenuineIntel pse36
    phenom = phenom-v1
    phenom-v1 AuthenticAMD pdpe1gb nx lm pse36
    qemu32 = qemu32-v1
    qemu32-v1 GenuineIntel
    qemu64 = qemu64-v1
    qemu64-v1 AuthenticAMD nx lm pse36
    """
}
