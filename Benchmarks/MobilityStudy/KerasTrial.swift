import Forecasters
import NumericsCore
import Privacy
import Training

/// Parts A and B: one network of the paper's, trained as there, from one seed.
struct KerasTrial: Sendable {
  /// What a line of results carries.
  struct Configuration: Codable, Sendable, Hashable {
    enum Architecture: String, Codable, Sendable {
      case lstm = "LSTM"
      case bilstm = "BiLSTM"
      case gru = "GRU"
      case bigru = "BiGRU"
    }

    var architecture: Architecture
    var hidden: Int
    var batch: Int
    var learningRate: Double
    var epochs = 100
    /// Whether counts are scaled, changes predicted and the learning rate falls to 0 by half a cosine; nil for the
    /// paper's way, raw counts and a constant rate.
    var changes: Bool?
    /// Standard deviation of the noise on every count, in people; nil for none.
    var noise: Double?
  }

  /// What came of it.
  struct Outcome: Codable, Sendable {
    /// nil where the training diverged.
    var test: RegionErrors?
    /// Mean loss of each tenth of the epochs; fewer where it diverged.
    var trainingMAE: [Double]
    /// The epoch in which the loss was not finite.
    var divergedAt: Int?
  }

  let configuration: Configuration
  let seed: UInt64

  /// - Parameters:
  ///   - rows: which the windows to learn from predict.
  ///   - test: which are predicted afterwards.
  /// - Throws: `PrivacyError`.
  func run(_ data: MobilityData, learning rows: Range<Int>, test: Range<Int>) throws -> Outcome {
    let network = network
    let observed = try configuration.noise.map { try perturbed(data, deviation: $0) } ?? data
    let inputs = (0..<data.rows).flatMap { input(observed, row: $0) }
    let targets = (0..<data.rows).flatMap { target(observed, row: $0) }
    let parameters = network.initialParameters(seed: seed)
    let gradient = Buffer<Float>(parameters.count)
    let optimiser = Optimiser<Float>(.adam, count: parameters.count, epsilon: 1e-7)
    let whole = KerasPass(network, batch: configuration.batch)
    let left = rows.count % configuration.batch
    let last = left > 0 ? KerasPass(network, batch: left) : nil
    let steps =
      configuration.epochs * ((rows.count + configuration.batch - 1) / configuration.batch)
    let schedule = LearningRateSchedule(
      configuration.changes == true ? .cosine : .constant, peak: configuration.learningRate,
      steps: steps)
    var step = 0

    var outcome = Outcome(trainingMAE: [])
    var sum = 0.0
    for epoch in 0..<configuration.epochs {
      for first in stride(from: rows.lowerBound, to: rows.upperBound, by: configuration.batch) {
        let pass = first + configuration.batch <= rows.upperBound ? whole : last!
        pass.fill(inputs, targets, first: first)
        gradient.zero()
        let loss = pass.run(parameters, into: gradient)
        guard loss.isFinite else {
          outcome.divergedAt = epoch + 1
          return outcome
        }
        sum += Double(loss) * Double(pass.batch)
        optimiser.step(parameters, gradient, rate: schedule.rate(step))
        step += 1
      }
      if (epoch + 1) * 10 % configuration.epochs == 0 {
        outcome.trainingMAE.append(sum * 10 / Double(configuration.epochs * rows.count))
        sum = 0
      }
    }
    let pass = KerasPass(network, batch: test.count)
    pass.fill(inputs, targets, first: test.lowerBound)
    let predictions = counts(from: pass.predict(parameters), observed, rows: test)
    guard predictions.allSatisfy(\.isFinite) else {
      outcome.divergedAt = configuration.epochs
      return outcome
    }
    outcome.test = RegionErrors(predictions, data, rows: test)
    return outcome
  }

  /// Features of a row `[F]`, counts in parts of what a region can hold where changes are predicted.
  private func input(_ data: MobilityData, row: Int) -> [Float] {
    var features = data.features(row)
    if configuration.changes == true {
      for (region, capacity) in PrivateModel.capacities.enumerated() {
        features[region] /= Float(capacity)
      }
    }
    return features
  }

  /// What the network is to say for a row `[6]`: counts, or thousands of people more than in the row before.
  private func target(_ data: MobilityData, row: Int) -> [Float] {
    (0..<MobilityData.regions).map { region in
      guard configuration.changes == true else { return Float(data[row, region]) }
      return row == 0 ? 0 : Float((data[row, region] - data[row - 1, region]) / 1000)
    }
  }

  /// Counts `[row][6]` from what the network said.
  private func counts(
    from outputs: [Double], _ data: MobilityData, rows: Range<Int>
  ) -> [Double] {
    guard configuration.changes == true else { return outputs }
    return outputs.enumerated().map { index, output in
      let (row, region) = (
        rows.lowerBound + index / MobilityData.regions, index % MobilityData.regions
      )
      return data[row - 1, region] + 1000 * output
    }
  }

  private var network: KerasNetwork {
    let architecture = configuration.architecture
    return KerasNetwork(
      architecture == .lstm || architecture == .bilstm ? .lstmReLU : .gruReLU,
      width: configuration.hidden,
      bidirectional: architecture == .bilstm || architecture == .bigru)
  }

  /// Every count of every region and slot with independent Gaussian noise, rounded. The noise has no seed.
  private func perturbed(_ data: MobilityData, deviation: Double) throws -> MobilityData {
    var counts = data.counts
    try InputPerturbation(sensitivity: 1, slots: data.rows, deviation: deviation).perturb(&counts)
    return data.with(counts: counts.map { $0.rounded() })
  }
}
