// swift-tools-version: 6.2

import PackageDescription

/// What every target is built with: Swift 6, no warning let through, each unsafe construct named as one.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")

/// A library of the house and its tests. A library may depend only on those listed before it.
func room(_ name: String, _ dependencies: [Target.Dependency] = [], tests: [Target.Dependency] = []) -> [Target] {
  [
    .target(name: name, dependencies: dependencies, swiftSettings: settings),
    .testTarget(
      name: "\(name)Tests", dependencies: [.target(name: name), "SeededRandom"] + dependencies + tests,
      swiftSettings: settings),
  ]
}

let package = Package(
  name: "inquest",
  products: [
    .executable(name: "inquest", targets: ["inquest"]),
    .library(name: "X86", targets: ["X86"]),
    .library(name: "KernelTypes", targets: ["KernelTypes"]),
    .library(name: "Files", targets: ["Files"]),
    .library(name: "Traces", targets: ["Traces"]),
    .library(name: "GuestMemory", targets: ["GuestMemory"]),
    .library(name: "GuestImage", targets: ["GuestImage"]),
    .library(name: "KVM", targets: ["KVM"]),
    .library(name: "QEMU", targets: ["QEMU"]),
    .library(name: "Investigation", targets: ["Investigation"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
  ],
  targets: [
    .systemLibrary(name: "CZydis", providers: [.apt(["libzydis-dev"])]),
    .systemLibrary(name: "CElfutils", providers: [.apt(["libdw-dev", "libelf-dev"])]),
    .systemLibrary(name: "CLinux", providers: [.apt(["linux-libc-dev"])]),
    .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CLZMA", providers: [.apt(["liblzma-dev"])]),
    .systemLibrary(name: "CLZO", providers: [.apt(["liblzo2-dev"])]),
    .systemLibrary(name: "CSnappy", providers: [.apt(["libsnappy-dev"])]),
    .systemLibrary(name: "CBPF", providers: [.apt(["libbpf-dev"])]),
  ]
    + room("X86")
    + room("KernelTypes", ["CBPF"])
    + room("Files", ["CZstd", "CZlib", "CLZMA", system], tests: ["FileBuilding"])
    + room("Traces", ["Files", system], tests: ["CZstd", "CZlib", "FileBuilding"])
    + room("GuestMemory", ["X86", "Files", "CLZO", "CSnappy", system], tests: ["CZlib", "FileBuilding", "QEMU"])
    + room("GuestImage", ["X86", "CZydis", "CElfutils"])
    + room("KVM", ["X86", "KernelTypes", "Files", "Traces"])
    + room("QEMU", ["X86"])
    + room("Investigation", ["X86", "GuestImage", "KVM", "QEMU"], tests: ["GuestMemory"])
    + room("Reports", ["X86", "QEMU", "Investigation"], tests: ["JSONDocuments"])
    + room("Capture", ["X86", "KernelTypes", "Files", "Traces", "KVM", "QEMU", "CLinux", system])
    + room(
      "Cases",
      ["X86", "Files", "Traces", "GuestMemory", "GuestImage", "KVM", "QEMU", "Investigation", "Capture", system],
      tests: ["FileBuilding"])
    + [
      // The page walk against KVM's own and TCG's; the only tests that drive /dev/kvm.
      .testTarget(
        name: "PagingOracleTests", dependencies: ["X86", "QEMU", "Capture", "CLinux", "SeededRandom", system],
        swiftSettings: settings),
      .executableTarget(
        name: "inquest",
        dependencies: [
          "X86", "KernelTypes", "Files", "Traces", "GuestMemory", "GuestImage", "KVM", "QEMU", "Investigation",
          "Reports",
          "Capture", "Cases",
          argumentParser, system,
        ],
        swiftSettings: settings),
      .testTarget(
        name: "InquestTests", dependencies: ["inquest", "JSONDocuments", "SeededRandom", subprocess, system],
        swiftSettings: settings),
      // What make benchmark measures of the library itself.
      .executableTarget(
        name: "paging-benchmark", dependencies: ["X86", "Files", "GuestMemory", system], path: "Benchmarks/Paging",
        swiftSettings: settings),
      // Files in the making, and the tools that make them, for the tests of what reads files.
      .target(
        name: "FileBuilding", dependencies: ["Files", system], path: "Tests/FileBuilding", swiftSettings: settings),
      // The same random numbers on every machine, for the tests of what anything may be given.
      .target(name: "SeededRandom", path: "Tests/SeededRandom", swiftSettings: settings),
      // JSON and its schema, for the tests of what Inquest writes.
      .target(name: "JSONDocuments", path: "Tests/JSONDocuments", swiftSettings: settings),
    ]
)
