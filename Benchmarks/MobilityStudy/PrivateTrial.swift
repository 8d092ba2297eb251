import NumericsCore
import Privacy
import Training

/// Parts C and D: the linear model trained with differential privacy, by independent noise and Poisson sampling
/// (DP-SGD) or by correlated noise and turns (DP-FTRL).
struct PrivateTrial: Sendable {
  /// What neighbouring data differ by, left out or added.
  enum Unit: String, Codable, Sendable, CaseIterable {
    /// One pair of inputs and target.
    case window
    /// The counts of one half hour, with every window that has them.
    case slot
    /// A day's counts. Windows across midnight are left out, and a day's gradient is clipped as a whole.
    case day
  }

  struct Configuration: Codable, Sendable, Hashable {
    var unit: Unit
    var epsilon: Double
    var delta = 1e-5
    /// Of DP-SGD: the probability of a unit to be in a step; nil for DP-FTRL.
    var samplingRate: Double?
    /// Of DP-FTRL: steps in which every unit takes part once.
    var cycle: Int?
    var steps: Int
    var learningRate: Double
    var clippingNorm: Double
    var momentum = 0.9
    var lags = 2
    var harmonics = 4
  }

  struct Outcome: Codable, Sendable {
    let test: RegionErrors
    /// By the accountant, for the noise that was added.
    let epsilon: Double
    /// Standard deviation of the noise, in sensitivities to the unit.
    let noiseMultiplier: Double
  }

  let configuration: Configuration

  /// Fits to the windows of `learning` and predicts those of `test`. The noise has no seed: no two runs are alike.
  func run(
    _ data: MobilityData, learning: Range<Int>, test: Range<Int>
  ) throws -> Outcome {
    let model = PrivateModel(lags: configuration.lags, harmonics: configuration.harmonics)
    let units = units(data, learning)
    let (steps, delta) = (configuration.steps, configuration.delta)
    // Sums of a slot's windows differ by the contributions of all of them.
    let group = configuration.unit == .slot ? Double(configuration.lags + 1) : 1
    let usable = delta - PrivateSteps.samplingDelta(parameters: model.parameters, steps: steps)
    if let cycle = configuration.cycle {
      let single = try CorrelatedGaussian(
        steps: steps, cycle: cycle, epsilon: configuration.epsilon, delta: usable)
      let mechanism = try CorrelatedGaussian(
        steps: steps, cycle: cycle, bands: single.bands,
        noiseMultiplier: group * single.noiseMultiplier)
      let sum = try sum(
        model, expected: Double(units.count) / Double(cycle),
        noise: mechanism.noiseMultiplier, mechanism)
      // A day's turn, and that of its windows and slots, is up to the calendar.
      let phases = units.map { data.seconds[$0.lowerBound] / 86_400 % cycle }
      var turns = try CorrelatedSteps(
        mechanism, phases: phases, parameters: sum.coordinates,
        clippingNorm: configuration.clippingNorm)
      let weights = try fit(model, data, units, sum, &turns)
      let spent = try GaussianAccountant(
        sensitivity: group, noise: 1 / mechanism.accountant.mu, releases: 1)
      return try outcome(
        model, data, test, weights, epsilon: spent.epsilon(atDelta: usable),
        noise: mechanism.noiseMultiplier / group)
    }
    let rate = configuration.samplingRate ?? 1
    guard configuration.unit != .slot || rate == 1 else {
      throw StudyError("a slot is in several windows: these cannot be sampled one by one")
    }
    let noise: Double
    if rate == 1 {
      noise =
        group
        * (try GaussianAccountant.noiseMultiplier(
          forEpsilon: configuration.epsilon, delta: usable, steps: steps))
    } else {
      noise =
        try NoiseCalibration(
          epsilon: configuration.epsilon, samplingRate: rate, steps: steps, delta: usable
        ).noiseMultiplier
    }
    let sum = try sum(model, expected: rate * Double(units.count), noise: noise, nil)
    var drawn = try PrivateSteps(
      records: units.count, samplingRate: rate, noiseMultiplier: noise, steps: steps)
    let weights = try fit(model, data, units, sum, &drawn)
    let epsilon =
      rate == 1
      ? try GaussianAccountant(sensitivity: group, noise: noise, releases: drawn.taken)
        .epsilon(atDelta: usable)
      : try drawn.accountant.epsilon(atDelta: usable)
    return try outcome(
      model, data, test, weights, epsilon: epsilon, noise: noise / group)
  }

  /// Rows that each unit's windows predict.
  private func units(_ data: MobilityData, _ learning: Range<Int>) -> [Range<Int>] {
    guard configuration.unit == .day else { return learning.map { $0..<$0 + 1 } }
    // Every day has all its slots.
    return stride(from: 0, to: learning.upperBound, by: MobilityData.slotsPerDay).map {
      $0 + configuration.lags..<min($0 + MobilityData.slotsPerDay, learning.upperBound)
    }
  }

  private func sum(
    _ model: PrivateModel, expected: Double, noise: Double, _ correlated: CorrelatedGaussian?
  ) throws -> PrivateSum {
    try PrivateSum(
      parameters: model.parameters, threads: 1, expected: expected, clipping: .flat,
      clippingNorm: configuration.clippingNorm, noiseMultiplier: noise, correlated: correlated)
  }

  /// The mean of the weights after the steps of the last quarter: free, as everything that is made of what was
  /// released.
  private func fit<Steps: PrivateStepping & ~Copyable>(
    _ model: PrivateModel, _ data: MobilityData, _ units: [Range<Int>], _ sum: PrivateSum,
    _ steps: inout Steps
  ) throws -> Buffer<Float> {
    let all = units[0].lowerBound..<units[units.count - 1].upperBound
    let x = Buffer<Float>(all.flatMap { model.input(data, row: $0) })
    let y = Buffer<Float>(all.flatMap { model.target(data, row: $0) })
    let weights = Buffer<Float>(model.parameters)
    let optimiser = Optimiser<Float>(
      .sgd, count: weights.count, momentum: configuration.momentum)
    let average = WeightAverage(weights, .swa, steps: configuration.steps)
    for _ in 0..<configuration.steps {
      let batch = try steps.nextBatch()
      sum.collect { _, lane in
        let gradient = Buffer<Float>(model.parameters)
        for unit in batch {
          gradient.zero()
          for row in units[unit] {
            model.addGradient(
              x.base + (row - all.lowerBound) * model.inputs,
              y.base + (row - all.lowerBound) * MobilityData.regions, weights,
              scale: 1 / Float(units[unit].count), to: gradient)
          }
          lane.add(gradient)
        }
      }
      let gradient = try sum.release(contributions: batch.count, &steps)
      optimiser.step(weights, gradient, rate: configuration.learningRate)
      average.add(weights)
    }
    return average.weights
  }

  private func outcome(
    _ model: PrivateModel, _ data: MobilityData, _ test: Range<Int>, _ weights: Buffer<Float>,
    epsilon: Double, noise: Double
  ) throws -> Outcome {
    let predictions = test.flatMap { model.predict(data, row: $0, weights) }
    guard predictions.allSatisfy(\.isFinite) else {
      throw StudyError("a private training diverged: lower its learning rate")
    }
    return Outcome(
      test: RegionErrors(predictions, data, rows: test), epsilon: epsilon, noiseMultiplier: noise)
  }
}
