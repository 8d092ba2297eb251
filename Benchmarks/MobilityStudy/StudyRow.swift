/// One row of a table: a configuration, run from several seeds, and what the paper has for it.
struct StudyRow: Sendable {
  let part: String
  let name: String
  let configuration: StudyConfiguration
  /// Mean RMSE and MAE over the regions, as the paper prints them.
  var paper: (rmse: Double, mae: Double)?

  /// All rows, those first whose trials are short.
  static let all: [StudyRow] =
    partC + partD + changes + partA(.gru) + [notebook] + partA(.bigru) + partB + partA(.lstm)
    + partA(.bilstm)

  var predictsChanges: Bool { configuration.network?.changes == true }

  /// Table 3 of the paper and its selected settings (section 4.3 there and the notebooks).
  private static func partA(
    _ architecture: KerasTrial.Configuration.Architecture
  ) -> [StudyRow] {
    typealias Settings = (
      hidden: Int, batch: Int, learningRate: Double, paper: (rmse: Double, mae: Double)
    )
    let settings: Settings =
      switch architecture {
      case .lstm: (225, 10, 0.002233, (1254.2, 943.8))
      case .bilstm: (500, 10, 0.002303, (1241.6, 931.7))
      case .gru: (75, 5, 0.001725, (1241.1, 929.6))
      case .bigru: (175, 5, 0.000289, (1214.3, 907.1))
      }
    return [
      StudyRow(
        part: "A", name: architecture.rawValue,
        configuration: StudyConfiguration(
          network: KerasTrial.Configuration(
            architecture: architecture, hidden: settings.hidden, batch: settings.batch,
            learningRate: settings.learningRate)),
        paper: settings.paper)
    ]
  }

  /// The run that the released notebook prints: one seed, 10 epochs. It says whether both programs do the same.
  private static let notebook = StudyRow(
    part: "A", name: "BiGRU, notebook",
    configuration: StudyConfiguration(
      network: KerasTrial.Configuration(
        architecture: .bigru, hidden: 250, batch: 5, learningRate: 0.0025, epochs: 10)),
    paper: (1393.2, 1086.8))

  /// Table 5 of the paper, BiGRU with input perturbation.
  private static let partB: [StudyRow] = [
    (200, 5, 0.001993, 87.95, (1235.6, 918.7)), (275, 5, 0.001182, 143.28, (1221.8, 915.9)),
    (200, 10, 0.001333, 160.14, (1232.9, 923.3)), (200, 10, 0.000842, 180.34, (1248.4, 940.2)),
  ].enumerated().map { index, settings in
    let (hidden, batch, rate, noise, paper) = settings
    return StudyRow(
      part: "B", name: "IP\(index + 1)",
      configuration: StudyConfiguration(
        network: KerasTrial.Configuration(
          architecture: .bigru, hidden: hidden, batch: batch, learningRate: rate, noise: noise)),
      paper: paper)
  }

  /// Parts A and B with the networks' inputs scaled and their outputs changes. One setting for all, the best for BiGRU
  /// of `mobility-study tune --networks`, which does not see the test week.
  private static let changes = ([.lstm, .bilstm, .gru, .bigru].flatMap(partA) + partB).map { row in
    var network = row.configuration.network!
    network.changes = true
    (network.hidden, network.batch, network.learningRate, network.epochs) = (175, 16, 0.002, 40)
    return StudyRow(
      part: row.part, name: "\(row.name), changes",
      configuration: StudyConfiguration(network: network), paper: row.paper)
  }

  /// DP-SGD. Settings are the best of `mobility-study tune`, which does not see the test week.
  private static let partC = privateRows(
    "C",
    [
      (.window, 1, 0.5, nil, 100, 0.1, 1), (.window, 4, 0.25, nil, 50, 0.3, 2),
      (.window, 8, 0.25, nil, 200, 0.3, 2), (.slot, 1, 1, nil, 100, 0.03, 2),
      (.slot, 4, 1, nil, 200, 0.03, 1), (.slot, 8, 1, nil, 200, 0.3, 1),
      (.day, 1, 1, nil, 25, 0.03, 0.3), (.day, 4, 1, nil, 100, 0.03, 0.3),
      (.day, 8, 1, nil, 100, 0.03, 0.3),
    ])

  /// DP-FTRL, likewise.
  private static let partD = privateRows(
    "D",
    [
      (.window, 1, nil, 5, 200, 0.1, 0.5), (.window, 4, nil, 5, 100, 0.3, 0.5),
      (.window, 8, nil, 10, 200, 0.3, 1), (.slot, 1, nil, 10, 100, 0.03, 0.5),
      (.slot, 4, nil, 5, 200, 0.1, 1), (.slot, 8, nil, 5, 100, 0.3, 0.5),
      (.day, 1, nil, 1, 25, 0.03, 0.3), (.day, 4, nil, 5, 50, 0.03, 0.3),
      (.day, 8, nil, 1, 100, 0.03, 0.3),
    ])

  private typealias PrivateSettings = (
    unit: PrivateTrial.Unit, epsilon: Double, samplingRate: Double?, cycle: Int?, steps: Int,
    learningRate: Double, norm: Double
  )

  private static func privateRows(_ part: String, _ settings: [PrivateSettings]) -> [StudyRow] {
    settings.map { settings in
      StudyRow(
        part: part, name: "\(settings.unit.rawValue) \(Int(settings.epsilon))",
        configuration: StudyConfiguration(
          linear: PrivateTrial.Configuration(
            unit: settings.unit, epsilon: settings.epsilon, samplingRate: settings.samplingRate,
            cycle: settings.cycle, steps: settings.steps, learningRate: settings.learningRate,
            clippingNorm: settings.norm)))
    }
  }

  func run(_ data: MobilityData, seed: UInt64) throws -> StudyResult {
    var result = StudyResult(
      part: part, row: name, seed: seed, configuration: configuration, seconds: 0)
    if let network = configuration.network {
      let outcome = try KerasTrial(configuration: network, seed: seed).run(
        data, learning: data.learningTargets, test: data.testTargets)
      result.test = outcome.test
      result.trainingMAE = outcome.trainingMAE
      result.divergedAt = outcome.divergedAt
    }
    if let linear = configuration.linear {
      let outcome = try PrivateTrial(configuration: linear).run(
        data, learning: data.learningTargets, test: data.testTargets)
      result.test = outcome.test
      result.epsilon = outcome.epsilon
      result.noiseMultiplier = outcome.noiseMultiplier
    }
    return result
  }
}
