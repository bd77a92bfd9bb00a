// Made by Scripts/cpu-models. Do not edit.

/// The CPU models of QEMU, in the form that CPUModelTableText.swift describes.
enum QEMU72CPUModels {
  static let text = """
    qemu 7.2.22
    known 1.ecx:f7fef7ff 1.edx:ffeffbff 6.eax:4 7.ebx:ffff4fbf 7.ecx:db415f6e 7.edx:efc9451c 7.1.eax:30 d.1.eax:1f
      12.eax:3 12.ebx:1 12.1.eax:b6 14.ecx:80000000 40000001.eax:100faff 40000001.edx:1 80000001.ecx:1ebbfff
      80000001.edx:ee500800 80000007.edx:100 80000008.ebx:700d205 8000000a.edx:1001b4ff c0000001.edx:3fcc msr.cf:20
      msr.10a:1ff msr.345:2000 msr.480:c0000000000000 msr.485:600001e0 msr.48b:213ffff msr.48c:f01067300c1
      msr.48d:e9 msr.48e:fbf99e8c msr.48f:22fc9004 msr.490:45e204 msr.491:1
    tcg 1.ecx:f6d8320b 1.edx:fcbfbfd 6.eax:4 7.ebx:1d843a9 7.ecx:8001020c d.eax:602ff d.1.eax:5 80000001.ecx:75
      80000001.edx:edd3fbfd 8000000a.edx:10010001
    kvm+ x2apic kvmclock kvm-nopiodelay kvm-asyncpf kvm-steal-time kvm-pv-eoi kvmclock-stable-bit
    kvm- acpi monitor svm
    tcg- vme
    486 = 486-v1
    Broadwell = Broadwell-v1
    Broadwell-IBRS = Broadwell-v3
    Broadwell-noTSX = Broadwell-v2
    Broadwell-noTSX-IBRS = Broadwell-v4
    Cascadelake-Server = Cascadelake-Server-v1
    Cascadelake-Server-noTSX = Cascadelake-Server-v3
    Conroe = Conroe-v1
    Cooperlake = Cooperlake-v1
    Denverton = Denverton-v1
    Dhyana = Dhyana-v1
    EPYC = EPYC-v1
    EPYC-IBPB = EPYC-v2
    EPYC-Milan = EPYC-Milan-v1
    EPYC-Rome = EPYC-Rome-v1
    Haswell = Haswell-v1
    Haswell-IBRS = Haswell-v3
    Haswell-noTSX = Haswell-v2
    Haswell-noTSX-IBRS = Haswell-v4
    Icelake-Server = Icelake-Server-v1
    Icelake-Server-noTSX = Icelake-Server-v2
    IvyBridge = IvyBridge-v1
    IvyBridge-IBRS = IvyBridge-v2
    KnightsMill = KnightsMill-v1
    Nehalem = Nehalem-v1
    Nehalem-IBRS = Nehalem-v2
    Opteron_G1 = Opteron_G1-v1
    Opteron_G2 = Opteron_G2-v1
    Opteron_G3 = Opteron_G3-v1
    Opteron_G4 = Opteron_G4-v1
    Opteron_G5 = Opteron_G5-v1
    Penryn = Penryn-v1
    SandyBridge = SandyBridge-v1
    SandyBridge-IBRS = SandyBridge-v2
    Skylake-Client = Skylake-Client-v1
    Skylake-Client-IBRS = Skylake-Client-v2
    Skylake-Client-noTSX-IBRS = Skylake-Client-v3
    Skylake-Server = Skylake-Server-v1
    Skylake-Server-IBRS = Skylake-Server-v2
    Skylake-Server-noTSX-IBRS = Skylake-Server-v3
    Snowridge = Snowridge-v1
    Westmere = Westmere-v1
    Westmere-IBRS = Westmere-v2
    athlon = athlon-v1
    core2duo = core2duo-v1
    coreduo = coreduo-v1
    kvm32 = kvm32-v1
    kvm64 = kvm64-v1
    n270 = n270-v1
    pentium = pentium-v1
    pentium2 = pentium2-v1
    pentium3 = pentium3-v1
    phenom = phenom-v1
    qemu32 = qemu32-v1
    qemu64 = qemu64-v1
    486-v1 GenuineIntel 4/8/0 1 0
      1.ecx:80000000 1.edx:b
    Broadwell-v1 GenuineIntel 6/61/2 d 80000008
      1.ecx:f7fa3203 1.edx:78bfbff 6.eax:4 7.ebx:1c0fb9 d.1.eax:1 80000001.ecx:121 80000001.edx:28100800
      msr.480:c0000000000000 msr.485:20000060 msr.48b:37bff msr.48c:f0106330041 msr.48d:e9 msr.48e:fbf99e8c
      msr.48f:7c9004 msr.490:e204 msr.491:1
    Broadwell-v2 GenuineIntel 6/61/2 d 80000008 from Broadwell-v1 -hle -rtm
    Broadwell-v3 GenuineIntel 6/61/2 d 80000008 from Broadwell-v1 +spec-ctrl
    Broadwell-v4 GenuineIntel 6/61/2 d 80000008 from Broadwell-v1 +spec-ctrl -hle -rtm
    Cascadelake-Server-v1 GenuineIntel 6/85/6 d 80000008
      1.ecx:f7fa3203 1.edx:78bfbff 6.eax:4 7.ebx:d19f0fb9 7.ecx:808 7.edx:84000000 d.1.eax:7 80000001.ecx:121
      80000001.edx:2c100800 msr.480:c0000000000000 msr.485:20000060 msr.48b:37bff msr.48c:f0106330041 msr.48d:e9
      msr.48e:fbf99e8c msr.48f:7c9004 msr.490:e204
    Cascadelake-Server-v2 GenuineIntel 6/85/6 d 80000008 from Cascadelake-Server-v1 +arch-capabilities +rdctl-no
      +ibrs-all +skip-l1dfl-vmentry +mds-no
    Cascadelake-Server-v3 GenuineIntel 6/85/6 d 80000008 from Cascadelake-Server-v1 +arch-capabilities +rdctl-no
      +ibrs-all +skip-l1dfl-vmentry +mds-no -hle -rtm
    Cascadelake-Server-v4 GenuineIntel 6/85/6 d 80000008 from Cascadelake-Server-v1 +arch-capabilities +rdctl-no
      +ibrs-all +skip-l1dfl-vmentry +mds-no +vmx-eptp-switching -hle -rtm
    Cascadelake-Server-v5 GenuineIntel 6/85/6 d 80000008 from Cascadelake-Server-v1 +arch-capabilities +xsaves
      +rdctl-no +ibrs-all +skip-l1dfl-vmentry +mds-no +vmx-xsaves +vmx-eptp-switching -hle -rtm
    Conroe-v1 GenuineIntel 6/15/3 a 80000008
      1.ecx:80000201 1.edx:78bfbff 80000001.ecx:1 80000001.edx:20100800 msr.480:40000000000000 msr.485:40 msr.48b:1
      msr.48d:29 msr.48e:f3f81e8c msr.48f:8000 msr.490:200
    Cooperlake-v1 GenuineIntel 6/85/10 d 80000008
      1.ecx:f7fa3203 1.edx:78bfbff 6.eax:4 7.ebx:d19f0fb9 7.ecx:808 7.edx:ac000000 7.1.eax:20 d.1.eax:7
      80000001.ecx:121 80000001.edx:2c100800 msr.10a:16b msr.480:c0000000000000 msr.485:20000060 msr.48b:37bff
      msr.48c:f0106330041 msr.48d:e9 msr.48e:fbf99e8c msr.48f:7c9004 msr.490:e204 msr.491:1
    Cooperlake-v2 GenuineIntel 6/85/10 d 80000008 from Cooperlake-v1 +xsaves +vmx-xsaves
    Denverton-v1 GenuineIntel 6/95/1 15 80000008
      1.ecx:c7f8220b 1.edx:78bfbff 6.eax:4 7.ebx:20944281 7.edx:a4000000 d.1.eax:7 80000001.ecx:101
      80000001.edx:2c100800 msr.10a:9 msr.480:c0000000000000 msr.485:20000060 msr.48b:37bff msr.48c:f0106330041
      msr.48d:e9 msr.48e:fbf99e8c msr.48f:7c9004 msr.490:e204 msr.491:1
    Denverton-v2 GenuineIntel 6/95/1 15 80000008 from Denverton-v1 -monitor -mpx
    Denverton-v3 GenuineIntel 6/95/1 15 80000008 from Denverton-v1 +xsaves +vmx-xsaves -monitor -mpx
    Dhyana-v1 HygonGenuine 24/0/1 d 8000001e
      1.ecx:f4d83209 1.edx:78bfbff 6.eax:4 7.ebx:9c01a9 d.1.eax:7 80000001.ecx:4003f5 80000001.edx:2e500800
      80000008.ebx:1000 8000000a.edx:9
    Dhyana-v2 HygonGenuine 24/0/1 d 8000001e from Dhyana-v1 +xsaves
    EPYC-v1 AuthenticAMD 23/1/2 d 8000001e
      1.ecx:f6d8320b 1.edx:78bfbff 6.eax:4 7.ebx:209c01a9 d.1.eax:7 80000001.ecx:4003f5 80000001.edx:2e500800
      8000000a.edx:9
    EPYC-v2 AuthenticAMD 23/1/2 d 8000001e from EPYC-v1 +ibpb
    EPYC-v3 AuthenticAMD 23/1/2 d 8000001e from EPYC-v1 +xsaves +perfctr-core +clzero +xsaveerptr +ibpb
    EPYC-Milan-v1 AuthenticAMD 25/1/1 d 8000001e
      1.ecx:f6da320b 1.edx:78bfbff 6.eax:4 7.ebx:219c07a9 7.ecx:40000c 7.edx:10 d.1.eax:f 80000001.ecx:c003f5
      80000001.edx:2e500800 80000008.ebx:100d205 8000000a.edx:10000009
    EPYC-Rome-v1 AuthenticAMD 23/49/0 d 8000001e
      1.ecx:f6d8320b 1.edx:78bfbff 6.eax:4 7.ebx:219c01a9 7.ecx:400004 d.1.eax:f 80000001.ecx:c003f5
      80000001.edx:2e500800 80000008.ebx:9205 8000000a.edx:9
    EPYC-Rome-v2 AuthenticAMD 23/49/0 d 8000001e from EPYC-Rome-v1 +ibrs +amd-ssbd
    Haswell-v1 GenuineIntel 6/60/4 d 80000008
      1.ecx:f7fa3203 1.edx:78bfbff 6.eax:4 7.ebx:fb9 d.1.eax:1 80000001.ecx:21 80000001.edx:28100800
      msr.480:c0000000000000 msr.485:20000060 msr.48b:7bff msr.48c:f0106330041 msr.48d:e9 msr.48e:fbf99e8c
      msr.48f:7c9004 msr.490:e204 msr.491:1
    Haswell-v2 GenuineIntel 6/60/1 d 80000008 from Haswell-v1 -hle -rtm
    Haswell-v3 GenuineIntel 6/60/4 d 80000008 from Haswell-v1 +spec-ctrl
    Haswell-v4 GenuineIntel 6/60/1 d 80000008 from Haswell-v1 +spec-ctrl -hle -rtm
    Icelake-Server-v1 GenuineIntel 6/134/0 d 80000008
      1.ecx:f7fa3203 1.edx:78bfbff 6.eax:4 7.ebx:d19f0fb9 7.ecx:15f4e 7.edx:84000000 d.1.eax:7 80000001.ecx:121
      80000001.edx:2c100800 80000008.ebx:200 msr.480:c0000000000000 msr.485:20000060 msr.48b:7bff
      msr.48c:f0106330041 msr.48d:e9 msr.48e:fbf99e8c msr.48f:7c9004 msr.490:e204
    Icelake-Server-v2 GenuineIntel 6/134/0 d 80000008 from Icelake-Server-v1 -hle -rtm
    Icelake-Server-v3 GenuineIntel 6/134/0 d 80000008 from Icelake-Server-v1 +arch-capabilities +rdctl-no +ibrs-all
      +skip-l1dfl-vmentry +mds-no +pschange-mc-no +taa-no -hle -rtm
    Icelake-Server-v4 GenuineIntel 6/106/0 d 80000008 from Icelake-Server-v1 +avx512ifma +sha-ni +rdpid +fsrm
      +arch-capabilities +rdctl-no +ibrs-all +skip-l1dfl-vmentry +mds-no +pschange-mc-no +taa-no +vmx-rdseed-exit
      +vmx-pml +vmx-eptp-switching -hle -rtm
    Icelake-Server-v5 GenuineIntel 6/106/0 d 80000008 from Icelake-Server-v1 +avx512ifma +sha-ni +rdpid +fsrm
      +arch-capabilities +xsaves +rdctl-no +ibrs-all +skip-l1dfl-vmentry +mds-no +pschange-mc-no +taa-no
      +vmx-rdseed-exit +vmx-pml +vmx-xsaves +vmx-eptp-switching -hle -rtm
    Icelake-Server-v6 GenuineIntel 6/106/0 d 80000008 from Icelake-Server-v1 +avx512ifma +sha-ni +rdpid +fsrm
      +arch-capabilities +xsaves +rdctl-no +ibrs-all +skip-l1dfl-vmentry +mds-no +pschange-mc-no +taa-no
      +vmx-rdseed-exit +vmx-pml +vmx-xsaves +vmx-page-walk-5 +vmx-eptp-switching -hle -rtm
    IvyBridge-v1 GenuineIntel 6/58/9 d 80000008
      1.ecx:f7b82203 1.edx:78bfbff 6.eax:4 7.ebx:281 d.1.eax:1 80000001.ecx:1 80000001.edx:28100800
      msr.480:c0000000000000 msr.485:60 msr.48b:bff msr.48c:f0106130041 msr.48d:e9 msr.48e:fbf99e8c msr.48f:7c9004
      msr.490:e204
    IvyBridge-v2 GenuineIntel 6/58/9 d 80000008 from IvyBridge-v1 +spec-ctrl
    KnightsMill-v1 GenuineIntel 6/133/0 d 80000008
      1.ecx:f7f83203 1.edx:f8bfbff 6.eax:4 7.ebx:1c0d03a9 7.ecx:4000 7.edx:c d.1.eax:1 80000001.ecx:121
      80000001.edx:2c100800
    Nehalem-v1 GenuineIntel 6/26/3 b 80000008
      1.ecx:80982201 1.edx:78bfbff 80000001.ecx:1 80000001.edx:20100800 msr.480:c0000000000000 msr.485:40 msr.48b:7f
      msr.48c:f0106130041 msr.48d:69 msr.48e:fbf99e8c msr.48f:7c9004 msr.490:e204
    Nehalem-v2 GenuineIntel 6/26/3 b 80000008 from Nehalem-v1 +spec-ctrl
    Opteron_G1-v1 AuthenticAMD 15/6/1 5 80000008
      1.ecx:80000001 1.edx:78bfbff 80000001.edx:20100800
    Opteron_G2-v1 AuthenticAMD 15/6/1 5 80000008
      1.ecx:80002001 1.edx:78bfbff 80000001.ecx:5 80000001.edx:20100800
    Opteron_G3-v1 AuthenticAMD 16/2/3 5 80000008
      1.ecx:80802009 1.edx:78bfbff 80000001.ecx:e5 80000001.edx:28100800
    Opteron_G4-v1 AuthenticAMD 21/1/2 d 8000001a
      1.ecx:96982203 1.edx:78bfbff 80000001.ecx:109e5 80000001.edx:2c100800 8000000a.edx:9
    Opteron_G5-v1 AuthenticAMD 21/2/0 d 8000001a
      1.ecx:b6983203 1.edx:78bfbff 80000001.ecx:2109e5 80000001.edx:2c100800 8000000a.edx:9
    Penryn-v1 GenuineIntel 6/23/3 a 80000008
      1.ecx:80082201 1.edx:78bfbff 80000001.ecx:1 80000001.edx:20100800 msr.480:40000000000000 msr.485:40 msr.48b:41
      msr.48d:29 msr.48e:f3f81e8c msr.48f:9000 msr.490:2200
    SandyBridge-v1 GenuineIntel 6/42/1 d 80000008
      1.ecx:97b82203 1.edx:78bfbff 6.eax:4 d.1.eax:1 80000001.ecx:1 80000001.edx:28100800 msr.480:c0000000000000
      msr.485:60 msr.48b:ff msr.48c:f0106130041 msr.48d:69 msr.48e:fbf99e8c msr.48f:7c9004 msr.490:e204
    SandyBridge-v2 GenuineIntel 6/42/1 d 80000008 from SandyBridge-v1 +spec-ctrl
    Skylake-Client-v1 GenuineIntel 6/94/3 d 80000008
      1.ecx:f7fa3203 1.edx:78bfbff 6.eax:4 7.ebx:1c0fb9 d.1.eax:7 80000001.ecx:121 80000001.edx:28100800
      msr.480:c0000000000000 msr.485:20000060 msr.48b:378ef msr.48c:f0106330041 msr.48d:69 msr.48e:fbf99e8c
      msr.48f:7c9004 msr.490:e204 msr.491:1
    Skylake-Client-v2 GenuineIntel 6/94/3 d 80000008 from Skylake-Client-v1 +spec-ctrl
    Skylake-Client-v3 GenuineIntel 6/94/3 d 80000008 from Skylake-Client-v1 +spec-ctrl -hle -rtm
    Skylake-Client-v4 GenuineIntel 6/94/3 d 80000008 from Skylake-Client-v1 +spec-ctrl +xsaves +vmx-xsaves -hle -rtm
    Skylake-Server-v1 GenuineIntel 6/85/4 d 80000008
      1.ecx:f7fa3203 1.edx:78bfbff 6.eax:4 7.ebx:d19f0fb9 7.ecx:8 d.1.eax:7 80000001.ecx:121 80000001.edx:2c100800
      msr.480:c0000000000000 msr.485:20000060 msr.48b:37bff msr.48c:f0106330041 msr.48d:e9 msr.48e:fbf99e8c
      msr.48f:7c9004 msr.490:e204
    Skylake-Server-v2 GenuineIntel 6/85/4 d 80000008 from Skylake-Server-v1 +spec-ctrl -clflushopt
    Skylake-Server-v3 GenuineIntel 6/85/4 d 80000008 from Skylake-Server-v1 +spec-ctrl -hle -rtm -clflushopt
    Skylake-Server-v4 GenuineIntel 6/85/4 d 80000008 from Skylake-Server-v1 +spec-ctrl +vmx-eptp-switching -hle -rtm
      -clflushopt
    Skylake-Server-v5 GenuineIntel 6/85/4 d 80000008 from Skylake-Server-v1 +spec-ctrl +xsaves +vmx-xsaves
      +vmx-eptp-switching -hle -rtm -clflushopt
    Snowridge-v1 GenuineIntel 6/134/1 1b 80000008
      1.ecx:c7f8220b 1.edx:78bfbff 6.eax:4 7.ebx:21944281 7.ecx:1a000104 7.edx:e4000000 d.1.eax:7 80000001.ecx:101
      80000001.edx:2c100800 msr.cf:20 msr.480:c0000000000000 msr.485:20000060 msr.48b:37bff msr.48c:f0106330041
      msr.48d:e9 msr.48e:fbf99e8c msr.48f:7c9004 msr.490:e204 msr.491:1
    Snowridge-v2 GenuineIntel 6/134/1 1b 80000008 from Snowridge-v1 -mpx
    Snowridge-v3 GenuineIntel 6/134/1 1b 80000008 from Snowridge-v1 +xsaves +vmx-xsaves -mpx
    Snowridge-v4 GenuineIntel 6/134/1 1b 80000008 from Snowridge-v1 +xsaves +vmx-xsaves -mpx -core-capability
      -split-lock-detect
    Westmere-v1 GenuineIntel 6/44/1 b 80000008
      1.ecx:82982203 1.edx:78bfbff 6.eax:4 80000001.ecx:1 80000001.edx:20100800 msr.480:c0000000000000 msr.485:60
      msr.48b:ff msr.48c:f0106130041 msr.48d:69 msr.48e:fbf99e8c msr.48f:7c9004 msr.490:e204
    Westmere-v2 GenuineIntel 6/44/1 b 80000008 from Westmere-v1 +spec-ctrl
    athlon-v1 AuthenticAMD 6/2/3 2 80000008
      1.ecx:80000000 1.edx:783fbff 80000001.edx:c0400000
    base - 0/0/0 0 0
    core2duo-v1 GenuineIntel 6/15/11 a 80000008
      1.ecx:80002209 1.edx:fcbfbff 80000001.ecx:1 80000001.edx:20100800 msr.480:40000000000000 msr.485:40 msr.48b:1
      msr.48d:29 msr.48e:f3f81e8c msr.48f:8000 msr.490:200
    coreduo-v1 GenuineIntel 6/14/8 a 80000008
      1.ecx:80000009 1.edx:fc9fbff 80000001.edx:100000 msr.485:40 msr.48d:9 msr.48e:73801e8c msr.48f:8000
      msr.490:200
    kvm32-v1 GenuineIntel 15/6/1 5 80000008
      1.ecx:80000001 1.edx:78bfbff msr.485:40 msr.48d:9 msr.48e:73801e8c msr.48f:8000 msr.490:200
    kvm64-v1 GenuineIntel 15/6/1 d 80000008
      1.ecx:80002001 1.edx:78bfbff 80000001.edx:20100800 msr.485:40 msr.48d:9 msr.48e:63b81e8c msr.48f:8000
      msr.490:200
    n270-v1 GenuineIntel 6/28/2 a 80000008
      1.ecx:80400209 1.edx:fc9fbff 80000001.ecx:1 80000001.edx:100000
    pentium-v1 GenuineIntel 5/4/3 1 0
      1.ecx:80000000 1.edx:8003bf
    pentium2-v1 GenuineIntel 6/5/2 2 0
      1.ecx:80000000 1.edx:183fbff
    pentium3-v1 GenuineIntel 6/7/3 3 0
      1.ecx:80000000 1.edx:383fbff
    phenom-v1 AuthenticAMD 16/2/3 5 8000001a
      1.ecx:80802009 1.edx:78bfbff 80000001.ecx:65 80000001.edx:ee500800 8000000a.edx:1
    qemu32-v1 GenuineIntel 6/6/3 4 80000004
      1.ecx:80000001 1.edx:781abfd
    qemu64-v1 AuthenticAMD 15/107/1 d 8000000a
      1.ecx:80002001 1.edx:78bfbfd 80000001.ecx:5 80000001.edx:20100800
    """
}
