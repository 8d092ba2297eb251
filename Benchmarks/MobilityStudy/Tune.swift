import ArgumentParser
import Foundation

/// Compares settings without the test week: fits to days 1 to 57, looks at days 58 to 65.
///
/// What it prints is not private. The report says what is assumed about these days.
struct Tune: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare settings on the days before the test week.")

  @OptionGroup var files: Files
  @Option(help: "Runs of each setting.") var runs = 1
  @Flag(
    help:
      "Compare settings of a BiGRU that predicts changes, without privacy, in place of those of parts C and D."
  )
  var networks = false

  func run() throws {
    let data = try MobilityData(path: files.data)
    let boundary = 57 * MobilityData.slotsPerDay
    let (learning, held) = (
      data.learningTargets.lowerBound..<boundary, boundary..<data.learningRows
    )
    let last = RegionErrors.persistence(data, rows: held).meanRMSE
    print(String(format: "persistence %.1f", last))
    if networks { return try compareNetworks(data, learning: learning, held: held) }
    for unit in PrivateTrial.Unit.allCases {
      for epsilon in [1.0, 4, 8] {
        for (rate, cycle) in Self.schedules(unit) {
          var best: (error: Double, text: String)?
          for steps in [25, 50, 100, 200] {
            for learningRate in [0.03, 0.1, 0.3] {
              for norm in unit == .day ? [0.3, 1] : [0.5, 1, 2] {
                let trial = PrivateTrial(
                  configuration: PrivateTrial.Configuration(
                    unit: unit, epsilon: epsilon, samplingRate: rate, cycle: cycle, steps: steps,
                    learningRate: learningRate, clippingNorm: norm))
                let errors = try (0..<runs).map { _ in
                  try trial.run(data, learning: learning, test: held).test.meanRMSE
                }
                let error = errors.reduce(0, +) / Double(runs)
                if error < best?.error ?? .infinity {
                  best = (error, "steps \(steps) rate \(learningRate) norm \(norm)")
                }
              }
            }
          }
          let how = rate.map { "sampling rate \($0)" } ?? "cycle \(cycle!)"
          print(
            "\(unit.rawValue) epsilon \(epsilon) \(how):",
            String(format: "%.1f", best!.error), best!.text)
          fflush(nil)
        }
      }
    }
  }

  private func compareNetworks(
    _ data: MobilityData, learning: Range<Int>, held: Range<Int>
  ) throws {
    for hidden in [64, 175] {
      for batch in [8, 16] {
        for learningRate in [0.002, 0.005] {
          for epochs in [20, 40] {
            let network = KerasTrial.Configuration(
              architecture: .bigru, hidden: hidden, batch: batch, learningRate: learningRate,
              epochs: epochs, changes: true)
            let errors = try (1...UInt64(max(1, runs))).map { seed in
              try KerasTrial(configuration: network, seed: seed)
                .run(data, learning: learning, test: held).test?.meanRMSE ?? .infinity
            }
            print(
              "hidden \(hidden) batch \(batch) rate \(learningRate) epochs \(epochs):",
              errors.map { String(format: "%.1f", $0) }.joined(separator: " "))
            fflush(nil)
          }
        }
      }
    }
  }

  private static func schedules(_ unit: PrivateTrial.Unit) -> [(rate: Double?, cycle: Int?)] {
    let rates: [Double] = unit == .slot ? [1] : [0.25, 0.5, 1]
    return rates.map { ($0, nil) } + [1, 5, 10].map { (nil, $0) }
  }
}
