import Forecasters
import Foundation
import NumericsCore
import Privacy
import TestSupport
import Testing
import Training

@Suite("Private training")
struct PrivateTrainerTests {
  static let training = TrainingConfiguration(
    steps: 60, batch: 20, learningRate: 5e-3, seed: 2, threads: 2)

  static func privacy(_ change: (inout PrivacyConfiguration) -> Void = { _ in })
    -> PrivacyConfiguration
  {
    var privacy = PrivacyConfiguration(epsilon: 8, delta: 1e-5, units: 200, clippingNorm: 0.1)
    change(&privacy)
    return privacy
  }

  static let panel = Sample.panel(Sample.seasonal(200, length: 48))

  @Test("the charge is known without data, keeps the promise, and is what the fit reports")
  func charge() throws {
    let trainer = PrivateTrainer(Self.training, privacy: Self.privacy())
    let charge = try trainer.charge(Sample.configuration)
    #expect(charge.epsilon <= 8 && charge.epsilon > 7.9)
    #expect(charge.samplingRate == 0.1 && charge.steps == 60 && charge.delta == 1e-5)
    expectClose(try charge.losses().epsilon(atDelta: 1e-5), charge.epsilon, relative: 1e-9)
    var seen: [Int] = []
    let fit = try trainer.fit(Sample.configuration, on: Self.panel) { seen.append($0.step) }
    #expect(fit.charge == charge && seen == Array(1...60))
    #expect(
      try JSONDecoder().decode(PrivacyCharge.self, from: JSONEncoder().encode(charge)) == charge)
  }

  @Test(
    "learns something where there are many units",
    arguments: [
      (PrivateMechanism.gradients, PrivateClipping.flat), (.gradients, .automatic),
      (.gradients, .adaptive), (.correlated, .flat), (.correlated, .automatic),
    ])
  func learns(mechanism: PrivateMechanism, clipping: PrivateClipping) throws {
    var training = Self.training
    training.steps = 150
    training.learningRate = 1e-2
    training.averaging = .none
    training.batch = mechanism == .gradients ? 20 : 60
    let privacy = Self.privacy {
      $0.mechanism = mechanism
      $0.epsilon = 50
      $0.clipping = clipping
      $0.samplingRate = mechanism == .gradients ? 0.3 : nil
      $0.windowsPerSeries = 2
    }
    func loss(_ forecaster: TrainedForecaster) throws -> Double {
      // Against the next season, which the training never saw.
      let longer = Sample.seasonal(200, length: 52)
      var sum = 0.0
      try forecaster.predict(Self.panel, threads: 2) { forecast in
        let length = Self.panel.range(of: forecast.series).count
        for h in 0..<4 where length + h < longer[forecast.series].count {
          sum += abs(longer[forecast.series][length + h] - forecast.means[h])
        }
      }
      return sum
    }
    let fit = try PrivateTrainer(training, privacy: privacy).fit(
      Sample.configuration, on: Self.panel)
    training.steps = 1
    training.learningRate = 1e-9
    let untrained = try PrivateTrainer(training, privacy: privacy).fit(
      Sample.configuration, on: Self.panel)
    #expect(try loss(fit.forecaster) < 0.8 * loss(untrained.forecaster))
    #expect((fit.clippingNorm == 0.1) == (clipping != .adaptive))
  }

  @Test("correlated noise: the charge is exact and known without data; turns instead of samples")
  func correlated() throws {
    let privacy = Self.privacy { $0.mechanism = .correlated }
    let trainer = PrivateTrainer(Self.training, privacy: privacy)
    let charge = try trainer.charge(Sample.configuration)
    #expect(charge.cycle == 10 && charge.samplingRate == 0.1 && charge.steps == 60)
    #expect(charge.epsilon <= 8 && charge.epsilon > 7.9999)
    let mechanism = try #require(try charge.correlated())
    expectClose(
      try mechanism.accountant.epsilon(atDelta: charge.delta - charge.addedDelta), charge.epsilon,
      relative: 1e-12)
    #expect(
      try trainer.plannedBytes(Sample.configuration)
        > PrivateTrainer(Self.training, privacy: Self.privacy()).plannedBytes(Sample.configuration))
    // A unit takes part six times.
    #expect(try mechanism.participation.times == 6)
    expectClose(try charge.losses().epsilon(atDelta: 1e-5), charge.epsilon, relative: 3e-3)
    let fit = try trainer.fit(Sample.configuration, on: Self.panel)
    #expect(fit.charge == charge && fit.clippingNorm == 0.1)
    #expect(
      try JSONDecoder().decode(PrivacyCharge.self, from: JSONEncoder().encode(charge)) == charge)
  }

  @Test("turns are up to a unit alone: without one of the others they stay the same")
  func turns() throws {
    for (unit, length) in [(PrivacyUnit.series, nil), (.block, 12), (.window, nil)] {
      let privacy = Self.privacy {
        $0.unit = unit
        $0.blockLength = length
      }
      func turns(_ series: Range<Int>) -> [Int] {
        let values = Sample.seasonal(6, length: 48)
        let panel = Panel(
          keys: series.map { "series \($0)" },
          offsets: series.reduce(into: [0]) { $0.append($0.last! + values[$1].count) },
          values: series.flatMap { values[$0] },
          firstOrdinals: series.map { _ in -5 })
        return PrivateUnits(panel, privacy, Sample.configuration).phases(cycle: 7)
      }
      let all = turns(0..<6)
      let rest = turns(1..<6)
      #expect(Array(all.suffix(rest.count)) == rest && all.count > rest.count)
      #expect(all.allSatisfy { (0..<7).contains($0) })
      // In the order of time: one after the other within a series.
      if unit != .series { #expect((all[0] + 1) % 7 == all[1]) }
    }
  }

  @Test(
    "units are series, blocks or windows; models of every shape of pass",
    arguments: PrivateMechanism.allCases)
  func units(mechanism: PrivateMechanism) throws {
    for unit in PrivacyUnit.allCases {
      for (windows, recompute) in [(1, false), (3, false), (16, false), (1, true)] {
        if unit == .window && windows > 1 { continue }
        var training = Self.training
        training.steps = 3
        training.recompute = recompute
        let privacy = Self.privacy {
          $0.mechanism = mechanism
          $0.unit = unit
          $0.windowsPerSeries = windows
          $0.blockLength = unit == .block ? 12 : nil
          $0.units = unit == .series ? 200 : 1000
        }
        let fit = try PrivateTrainer(training, privacy: privacy).fit(
          Sample.configuration, on: Self.panel)
        #expect(fit.charge.unit == unit && fit.forecaster.parameterCount > 0)
      }
    }
  }

  @Test("empty batches are steps with noise: the data do not show in a panel that has none")
  func empty() throws {
    // Series too short for any window: every batch is empty.
    let panel = Sample.panel((0..<50).map { _ in [1, 2, 3] })
    var training = Self.training
    training.averaging = .none
    training.steps = 5
    let first = try PrivateTrainer(training, privacy: Self.privacy()).fit(
      Sample.configuration, on: panel)
    let second = try PrivateTrainer(training, privacy: Self.privacy()).fit(
      Sample.configuration, on: panel)
    // Noise moved the weights, differently each time.
    #expect(first.forecaster != second.forecaster)
  }

  @Test("a unit whose gradient is not finite counts as nothing")
  func notFinite() throws {
    let series = Sample.seasonal(100, length: 48).map { $0.map { _ in 1e300 * .random(in: 1...9) } }
    var training = Self.training
    training.steps = 3
    _ = try PrivateTrainer(training, privacy: Self.privacy()).fit(
      Sample.configuration, on: Sample.panel(series))
  }

  @Test("a block sees nothing of the next")
  func blocks() throws {
    let panel = Panel(
      keys: ["a", "b"], offsets: [0, 7, 12], values: (0..<12).map(Double.init),
      firstOrdinals: [3, -2])
    let cut = panel.cut(into: 4)
    #expect(cut.offsets == [0, 1, 5, 7, 9, 12])
    #expect(cut.firstOrdinals == [3, 4, 8, -2, 0])
    #expect(cut.values == panel.values && Set(cut.keys).count == 5)
  }

  @Test("what cannot be promised is refused")
  func refused() {
    func message(
      _ change: (inout PrivacyConfiguration) -> Void, panel: Panel = Self.panel,
      training: (inout TrainingConfiguration) -> Void = { _ in }
    ) -> String {
      var configuration = Self.training
      training(&configuration)
      do {
        _ = try PrivateTrainer(configuration, privacy: Self.privacy(change)).fit(
          Sample.configuration, on: panel)
        return "nothing"
      } catch {
        return "\(error)"
      }
    }
    let one = Sample.panel([Sample.seasonal(1, length: 200)[0]])
    #expect(message({ _ in }, panel: one).contains("one series"))
    #expect(message { $0.epsilon = 0 }.contains("epsilon is 0"))
    #expect(message { $0.delta = 1 }.contains("delta is 1"))
    #expect(message { $0.delta = 0.01 }.contains("less than 1 / units"))
    #expect(message { $0.units = 0 }.contains("units is 0"))
    #expect(message { $0.samplingRate = 1.5 }.contains("samplingRate is 1.5"))
    #expect(message { $0.clippingNorm = 0 }.contains("clippingNorm is 0"))
    #expect(message { $0.windowsPerSeries = 0 }.contains("windowsPerSeries is 0"))
    #expect(message { $0.unit = .block }.contains("blockLength is missing"))
    #expect(message { $0.blockLength = 9 }.contains("blockLength is 9"))
    #expect(
      message {
        $0.unit = .block
        $0.blockLength = 2
      }.contains("for one window"))
    #expect(
      message {
        $0.unit = .window
        $0.windowsPerSeries = 2
      }.contains("the unit is a window"))
    #expect(message { $0.bands = 2 }.contains("only correlated noise has bands"))
    func correlated(_ change: @escaping (inout PrivacyConfiguration) -> Void) -> String {
      message {
        $0.mechanism = .correlated
        change(&$0)
      }
    }
    #expect(correlated { $0.bands = 300 }.contains("bands is 300"))
    #expect(correlated { $0.samplingRate = 0.1 }.contains("are not sampled"))
    #expect(correlated { $0.clipping = .adaptive }.contains("flat or automatic"))
    #expect(correlated { $0.accountant = .rdp }.contains("epsilon is exact"))
    #expect(message({ $0.mechanism = .correlated }, panel: one).contains("one series"))
    #expect(message { $0.quantile = 1 }.contains("quantile is 1"))
    #expect(
      message({ _ in }, training: { $0.timeBudgetSeconds = 3 }).contains("takes all its steps"))
    #expect(message({ _ in }, training: { $0.gradientNoise = 1 }).contains("adds noise itself"))
  }
}

/// What the check of the noise sees.
@Suite("Check of private noise")
struct PrivateSumTests {
  private static func sum(
    clipping: PrivateClipping = .flat, noise: Double = 1, expected: Double = 10
  ) throws -> PrivateSum {
    try PrivateSum(
      parameters: 500, threads: 2, expected: expected, clipping: clipping, clippingNorm: 0.5,
      noiseMultiplier: noise)
  }

  private static func add(_ count: Int, size: Float, to sum: PrivateSum) {
    let gradient = Buffer([Float](repeating: size, count: sum.parameters))
    sum.collect { thread, lane in
      for _ in 0..<(thread == 0 ? count : 0) { lane.add(gradient) }
    }
  }

  @Test("noise as accounted for passes, for every rule")
  func honest() throws {
    for clipping in PrivateClipping.allCases {
      let sum = try Self.sum(clipping: clipping)
      var steps = try PrivateSteps(
        records: 10, samplingRate: 0.5, noiseMultiplier: 1, steps: 40)
      for step in 0..<40 {
        _ = try steps.nextBatch()
        Self.add(step % 3, size: 0.1, to: sum)
        let mean = try sum.release(contributions: step % 3, &steps)
        #expect(mean.count > 500)
      }
    }
  }

  private static func correlated(bands: Int) throws -> CorrelatedGaussian {
    try CorrelatedGaussian(steps: 40, cycle: 4, bands: bands, noiseMultiplier: 1)
  }

  @Test("correlated noise as accounted for passes", arguments: [1, 2, 16])
  func honestlyCorrelated(bands: Int) throws {
    let mechanism = try Self.correlated(bands: bands)
    let sum = try PrivateSum(
      parameters: 500, threads: 2, expected: 10, clipping: .flat, clippingNorm: 0.5,
      noiseMultiplier: 1, correlated: mechanism)
    var steps = try CorrelatedSteps(
      mechanism, phases: [], parameters: sum.coordinates, clippingNorm: 0.5)
    for step in 0..<40 {
      _ = try steps.nextBatch()
      Self.add(step % 3, size: 0.1, to: sum)
      _ = try sum.release(contributions: step % 3, &steps)
    }
  }

  @Test("noise of the right size in every step that is not the strategy's is seen")
  func wronglyCorrelated() throws {
    let strategy = try Self.correlated(bands: 8).strategy
    var check = NoiseCheck(parameters: 500, heldBack: 500..<756, strategy: strategy)
    let sum = try ClippedSum(parameters: 756, clippingNorm: 1, noiseMultiplier: 1)
    let inverse = strategy.inverse(count: 100)
    var random = SeededGenerator(seed: 5)
    var power = 0.0
    var seen: Int?
    for step in 0..<100 where seen == nil {
      power += inverse[step] * inverse[step]
      check.before(sum)
      let mean = Buffer(random.normals(756).map { Float($0 * power.squareRoot()) })
      do { try check.after(mean, scale: 1, deviation: 1) } catch { seen = step }
    }
    #expect(seen != nil && seen! > 0)
  }

  @Test("contributions that got lost, or were added twice, end the training")
  func contributions() throws {
    for claimed in [2, 4] {
      let sum = try Self.sum()
      var steps = try PrivateSteps(records: 10, samplingRate: 0.5, noiseMultiplier: 1, steps: 1)
      _ = try steps.nextBatch()
      Self.add(3, size: 0.1, to: sum)
      #expect(throws: TrainingError.self) {
        _ = try sum.release(contributions: claimed, &steps)
      }
    }
  }

  @Test("too little noise, too much, or none is seen", arguments: [0, 0.5, 0.8, 1.3, 3])
  func inert(share: Double) throws {
    let (parameters, deviation, scale) = (500, 2.0, 0.1)
    var check = NoiseCheck(parameters: parameters, heldBack: parameters..<parameters + 256)
    let sum = try ClippedSum(parameters: parameters + 256, clippingNorm: 2, noiseMultiplier: 1)
    var random = SeededGenerator(seed: 5)
    var seen = false
    for _ in 0..<100 where !seen {
      check.before(sum)
      let mean = Buffer(
        random.normals(parameters + 256).map { Float($0 * deviation * share * scale) })
      do {
        try check.after(mean, scale: scale, deviation: deviation)
      } catch let error as TrainingError {
        seen = error.code == .notPrivate
      }
    }
    #expect(seen)
  }

  @Test("noise on the held-back coordinates alone is not enough")
  func halfInert() throws {
    var check = NoiseCheck(parameters: 500, heldBack: 500..<756)
    let sum = try ClippedSum(parameters: 756, clippingNorm: 1, noiseMultiplier: 1)
    check.before(sum)
    var random = SeededGenerator(seed: 5)
    let mean = Buffer((0..<756).map { Float($0 < 500 ? 0 : random.normal()) })
    #expect(throws: TrainingError.self) { try check.after(mean, scale: 1, deviation: 1) }
  }

  @Test("no false alarm in ten thousand steps")
  func falseAlarm() throws {
    var check = NoiseCheck(parameters: 256, heldBack: 256..<512)
    let sum = try ClippedSum(parameters: 512, clippingNorm: 1, noiseMultiplier: 1)
    var random = SeededGenerator(seed: 6)
    for _ in 0..<10_000 {
      check.before(sum)
      try check.after(Buffer(random.normals(512).map(Float.init)), scale: 1, deviation: 1)
    }
  }

  @Test("the adaptive norm finds the quantile, at the noise of the whole")
  func adaptive() throws {
    var random = SeededGenerator(seed: 4)
    let norms = (0..<400).map { _ in exp(random.normal()) }
    var norm = AdaptiveNorm(norm: 0.01, quantile: 0.7, expected: 400, noiseMultiplier: 1)
    for _ in 0..<200 {
      // Andrew et al. 2021, theorem 1: noise of gradient and count together is that of one release.
      let gradient = norm.sensitivity / norm.norm
      let count = norm.sensitivity / (2 * norm.mark)
      expectClose(1 / (gradient * gradient) + 1 / (4 * count * count), 1, relative: 1e-12)
      let signs = norms.reduce(0.0) { $0 + ($1 <= norm.norm ? 1 : -1) }
      norm.update(counted: norm.mark * signs + random.normal() * norm.sensitivity)
    }
    let below = Double(norms.count { $0 <= norm.norm }) / 400
    #expect(abs(below - 0.7) < 0.1)
  }
}
