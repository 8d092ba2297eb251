// swift-tools-version: 6.1
import PackageDescription

// Targets and their directions are drawn in docs/architecture.md; dependencies go downwards only.

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func shell(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .executableTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(
  of name: String, _ dependencies: [Target.Dependency] = [], golden: Bool = false
) -> Target {
  .testTarget(
    name: name + "Tests",
    dependencies: [.target(name: name), "TestSupport"] + dependencies,
    path: "Tests/\(name)Tests",
    exclude: golden ? ["Golden"] : [],
    swiftSettings: strict)
}

let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let lifecycle = Target.Dependency.product(
  name: "ServiceLifecycle", package: "swift-service-lifecycle")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let rainbow = Target.Dependency.product(name: "Rainbow", package: "Rainbow")

let package = Package(
  name: "forecast",
  products: [
    .executable(name: "forecastctl", targets: ["forecastctl"]),
    .executable(name: "forecastd", targets: ["forecastd"]),
    .library(
      name: "Forecasting",
      targets: ["NumericsCore", "Privacy", "Forecasters", "Training", "Evaluation"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/onevcat/Rainbow", from: "4.2.2"),
  ],
  targets: [
    .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "CKernels", dependencies: ["COpenBLAS"]),

    library("NumericsCore", ["COpenBLAS", "CKernels"]),
    library("Privacy", ["NumericsCore"]),
    library("Forecasters", ["NumericsCore"]),
    library("Training", ["Forecasters", "Privacy", "NumericsCore"]),
    library("Evaluation", ["Training", "Forecasters", "NumericsCore"]),
    library("Postgres", ["CLibPQ", logging, crypto]),
    library(
      "ForecastService",
      [
        "Postgres", "Evaluation", "Training", "Forecasters", "Privacy", "CZlib", logging, crypto,
        yams,
      ]),
    library("Terminal", [rainbow]),
    shell(
      "forecastctl",
      [
        "ForecastService", "Training", "Forecasters", "Postgres", "Privacy", "Terminal",
        argumentParser, logging,
      ]),
    shell(
      "forecastd", ["ForecastService", "Postgres", "Terminal", argumentParser, logging, lifecycle]),

    // Not a package of its own: what it measures has package access (docs/decisions/0001).
    .executableTarget(
      name: "forecast-bench",
      dependencies: [
        "ForecastService", "Postgres", "Evaluation", "Training", "Forecasters", "Privacy",
        "NumericsCore", "CKernels", argumentParser, logging,
      ],
      path: "Benchmarks/ForecastBench", swiftSettings: strict),

    .executableTarget(
      name: "mobility-study",
      dependencies: [
        "ForecastService", "Training", "Forecasters", "Privacy", "NumericsCore", argumentParser,
      ],
      path: "Benchmarks/MobilityStudy", swiftSettings: strict),

    .target(
      name: "TestSupport", dependencies: ["Postgres", logging], path: "Tests/TestSupport",
      swiftSettings: strict),
    tests(of: "NumericsCore", golden: true),
    tests(of: "Privacy", golden: true),
    tests(of: "Forecasters", ["NumericsCore"], golden: true),
    tests(of: "Training", ["Forecasters", "NumericsCore", "Privacy"], golden: true),
    tests(of: "Evaluation", ["Training", "Forecasters", "NumericsCore"], golden: true),
    tests(of: "Postgres", [logging]),
    tests(
      of: "ForecastService", ["Postgres", "Training", "Forecasters", "NumericsCore", logging],
      golden: true),
    tests(of: "Terminal"),
  ],
  swiftLanguageModes: [.v6]
)
