import Forecasters
import TestSupport
import Testing
import Training

@Suite("Trainer")
struct TrainerTests {
  private let quick = TrainingConfiguration(steps: 20, batch: 10)

  @Test("the same seed gives the same bytes, another seed others", arguments: [1, 2, 3])
  func deterministic(threads: Int) throws {
    let panel = Sample.panel(Sample.seasonal(4, missing: 0.1))
    var configuration = Sample.configuration
    configuration.layers = 2
    configuration.dropout = 0.2
    func bytes(seed: UInt64) throws -> [UInt8] {
      var training = quick
      training.seed = seed
      training.threads = threads
      return try Sample.fit(panel, training, configuration).forecaster.encoded()
    }
    let first = try bytes(seed: 1)
    #expect(try bytes(seed: 1) == first)
    #expect(try bytes(seed: 2) != first)
  }

  @Test("thread counts agree up to rounding")
  func threads() throws {
    let panel = Sample.panel(Sample.seasonal(4))
    var training = quick
    let one = try Sample.forecasts(Sample.fit(panel, training).forecaster, panel)
    training.threads = 2
    let two = try Sample.forecasts(Sample.fit(panel, training).forecaster, panel)
    for (a, b) in zip(one, two) { expectClose(a.quantiles, b.quantiles, relative: 1e-3) }
  }

  @Test("recomputation plans less memory and fits the same model up to rounding")
  func recomputation() throws {
    let panel = Sample.panel(Sample.seasonal(4))
    var training = quick
    let kept = try Sample.forecasts(Sample.fit(panel, training).forecaster, panel)
    var long = Sample.configuration
    long.contextLength = 400
    let before = try Trainer(training).plannedBytes(long)
    training.recompute = true
    let again = try Sample.forecasts(Sample.fit(panel, training).forecaster, panel)
    for (a, b) in zip(kept, again) { expectClose(a.quantiles, b.quantiles, relative: 1e-3) }
    #expect(try Trainer(training).plannedBytes(long) * 2 < before)
  }

  @Test("a noisy seasonal panel is learned: MASE well below that of the seasonal naive")
  func learns() throws {
    let horizon = 4
    let all = Sample.seasonal(40, length: 80, noise: 2, seed: 9)
    let history = all.map { Array($0.dropLast(horizon)) }
    let training = TrainingConfiguration(
      steps: 1500, batch: 32, learningRate: 1e-2, patience: 20)
    let result = try Sample.fit(Sample.panel(history), training)
    #expect(result.bestStep > 0 && result.retries == 0)
    #expect(result.windows > 100)
    let forecasts = try Sample.forecasts(result.forecaster, Sample.panel(history))
    var errors = (model: 0.0, naive: 0.0)
    for (series, values) in all.enumerated() {
      let past = history[series]
      // The scale of MASE: mean seasonal difference of the history.
      let scale =
        zip(past.dropFirst(4), past).reduce(0) { $0 + abs($1.0 - $1.1) } / Double(past.count - 4)
      for h in 0..<horizon {
        let actual = values[past.count + h]
        errors.model += abs(actual - forecasts[series].quantiles[h * 3 + 1]) / scale / 160
        errors.naive += abs(actual - past[past.count + h - 4]) / scale / 160
      }
    }
    // White noise: the naive errs by the root of 2 more than the season's mean, 0.71 at best.
    #expect(errors.model < 0.9 * errors.naive, "MASE \(errors.model), naive \(errors.naive)")
    #expect(errors.model < 0.9)
  }

  @Test("a panel without a long enough series says so")
  func tooShort() throws {
    for series in [
      [[1, 2, 3]], [[Double](repeating: .nan, count: 40)], [[]], [],
      [[1, .nan, .nan, 2, .nan, .nan]],
    ] as [[[Double]]] {
      do {
        _ = try Sample.fit(Sample.panel(series), quick)
        Issue.record("trained on nothing")
      } catch let error as TrainingError {
        #expect(error.code == .noWindows)
        #expect(error.message.hasPrefix("no series is long enough"))
      }
    }
  }

  @Test("held-out steps that were never observed do not spoil the weights")
  func unobservedEnd() throws {
    let series = Sample.seasonal(3).map { $0.dropLast(4) + [Double](repeating: .nan, count: 4) }
    let result = try Sample.fit(Sample.panel(series.map { Array($0) }), quick)
    #expect(result.validationLoss == nil)
    #expect(result.bestStep == quick.steps)
    let forecasts = try Sample.forecasts(
      result.forecaster, Sample.panel(series.map { Array($0.dropLast(4)) }))
    #expect(forecasts.allSatisfy { $0.quantiles[0] < $0.quantiles[2] })
  }

  private func failure(_ panel: Panel, _ training: TrainingConfiguration) -> (String, [Int]) {
    var steps: [Int] = []
    do {
      _ = try Sample.fit(panel, training) { steps.append($0.step) }
      return ("trained", steps)
    } catch let error as TrainingError {
      #expect(error.code == .notFinite && !error.isTransient)
      return (error.message, steps)
    } catch { return ("another error: \(error)", steps) }
  }

  @Test(
    "a loss that is not finite is tried once more, then names its step and that weights diverged")
  func notFinite() throws {
    var training = quick
    training.learningRate = 1e300
    let (message, steps) = failure(Sample.panel(Sample.seasonal(2)), training)
    #expect(message.contains("not finite at step 2, in every window of the batch"), "\(message)")
    #expect(message.contains("lower the learning rate"))
    #expect(steps == [1, 1])
  }

  @Test("a series whose numbers overflow is named")
  func enormous() throws {
    // Within one window the level leaps beyond what single precision holds of the scale before.
    var series = Sample.seasonal(3)
    for t in 40..<series[1].count { series[1][t] = 1e300 * Double(t) }
    let (message, steps) = failure(Sample.panel(series), quick)
    #expect(message.contains("in series series 1: look for enormous values"), "\(message)")
    #expect(steps.filter { $0 == 1 }.count <= 2)
  }

  @Test("the retry runs at a tenth of the rate, from the start, and is recorded")
  func retried() throws {
    let panel = Sample.panel(Sample.seasonal(2))
    var training = CheckpointTests.diverging.training
    let result = try Sample.fit(panel, training)
    #expect(result.retries == 1)
    training.learningRate /= 10
    let direct = try Sample.fit(panel, training)
    #expect(direct.retries == 0)
    #expect(try result.forecaster.encoded() == direct.forecaster.encoded())
    #expect(result.steps == direct.steps)
  }

  struct Stop: Error {}

  @Test("a window is drawn so many times on average at most, but 20 steps are taken")
  func epochs() throws {
    var training = TrainingConfiguration(
      steps: 1000, epochs: 3, batch: 4, warmup: 500, validationWindows: 0)
    #expect(training.limited(to: 30).steps == 23 && training.limited(to: 30).warmup == 23)
    #expect(training.limited(to: 3).steps == 20)
    #expect(training.limited(to: 100_000) == training && training.limited(to: .max) == training)
    training.accumulate = 2
    #expect(training.limited(to: 80).steps == 30)
    let panel = Sample.panel(Sample.seasonal(1))
    let result = try Sample.fit(panel, training)
    #expect(result.steps == max(20, (3 * result.windows + 7) / 8) && result.steps < 1000)
    training.epochs = 0
    #expect(training.limited(to: 1) == training)
  }

  @Test("what progress throws ends the training")
  func cancelled() throws {
    let panel = Sample.panel(Sample.seasonal(2))
    var calls = 0
    #expect(throws: CancellationError.self) {
      _ = try Sample.fit(panel, quick) { _ in
        calls += 1
        if calls == 3 { throw CancellationError() }
      }
    }
    #expect(calls == 3)
  }

  @Test("progress counts steps and its fraction rises to one")
  func progress() throws {
    let panel = Sample.panel(Sample.seasonal(2))
    var seen: [TrainingProgress] = []
    let result = try Sample.fit(panel, quick) { seen.append($0) }
    #expect(seen.count == result.steps)
    #expect(seen[0].phase == .fit && seen[0].step == 1 && seen[0].steps == 20)
    #expect(seen.last?.phase == .refit)
    #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.fraction < $1.fraction })
    #expect(seen.last?.fraction == 1)
    #expect(seen.allSatisfy { $0.trainingLoss.isFinite && $0.trainingLoss > 0 })
  }

  @Test("a time budget stops the training and says so")
  func timeBudget() throws {
    let panel = Sample.panel(Sample.seasonal(2))
    var training = quick
    training.steps = 1_000_000
    training.timeBudgetSeconds = 0
    let result = try Sample.fit(panel, training)
    #expect(result.stoppedByTimeBudget && result.steps == 1 && result.bestStep == 1)
    #expect(try !Sample.fit(panel, quick).stoppedByTimeBudget)
  }

  @Test(
    "more threads than windows of a batch, a batch of one, and no validation work",
    arguments: [(1, 4, 1), (3, 3, 0), (5, 2, 2)])
  func edges(batch: Int, threads: Int, validation: Int) throws {
    let panel = Sample.panel(Sample.seasonal(2))
    let training = TrainingConfiguration(
      steps: 5, batch: batch, threads: threads, validationWindows: validation)
    let result = try Sample.fit(panel, training)
    #expect((result.validationLoss == nil) == (validation == 0))
    #expect(try #require(result.trainingLoss).isFinite)
  }

  @Test("micro-batches are one batch of all their windows, up to rounding", arguments: [1, 2])
  func accumulated(threads: Int) throws {
    let panel = Sample.panel(Sample.seasonal(4))
    func losses(batch: Int, accumulate: Int) throws -> [Double] {
      let training = TrainingConfiguration(
        steps: 10, batch: batch, accumulate: accumulate, longContexts: 0, learningRate: 1e-2,
        threads: threads, refitOnAll: false)
      var losses: [Double] = []
      _ = try Sample.fit(panel, training) { losses.append($0.trainingLoss) }
      return losses
    }
    let whole = try losses(batch: 24, accumulate: 1)
    #expect(Set(whole).count == whole.count)
    for (batch, accumulate) in [(12, 2), (8, 3), (3, 8)] {
      expectClose(try losses(batch: batch, accumulate: accumulate), whole, relative: 1e-4)
    }
    // Fewer windows are another gradient.
    let fewer = try losses(batch: 12, accumulate: 1)
    #expect(zip(fewer, whole).contains { abs($0 - $1) > 1e-3 })
  }

  static let variants: [TrainingConfiguration] =
    OptimiserKind.allCases.map { kind in
      var training = TrainingConfiguration(steps: 400, batch: 16, learningRate: 1e-2)
      training.optimiser = kind
      if kind == .sgd || kind == .adagrad { training.learningRate = 0.1 }
      if kind == .adamw { training.weightDecay = 0.01 }
      return training
    }
    + ScheduleKind.allCases.map {
      TrainingConfiguration(steps: 400, batch: 16, learningRate: 1e-2, schedule: $0)
    }
    + WeightAveraging.allCases.map {
      TrainingConfiguration(steps: 400, batch: 16, learningRate: 1e-2, averaging: $0)
    }
    + [
      TrainingConfiguration(
        steps: 400, batch: 16, learningRate: 1e-2, clippingNorm: 0, clippingValue: 0.05,
        gradientNoise: 1e-4)
    ]

  @Test("every optimiser, schedule and average learns the season", arguments: variants)
  func learns(training: TrainingConfiguration) throws {
    let panel = Sample.panel(Sample.seasonal(12, length: 80, noise: 2, seed: 9))
    let result = try Sample.fit(panel, training)
    let standard = try Sample.fit(panel, Self.variants[0])
    // The best there is: what the default reaches. Untrained weights are at more than twice that.
    let loss = try #require(result.validationLoss)
    #expect(loss < 1.25 * standard.validationLoss!, "\(loss), Adam \(standard.validationLoss!)")
  }

  struct Bad: Sendable {
    let word: String
    let change: @Sendable (inout TrainingConfiguration) -> Void
    init(_ word: String, _ change: @escaping @Sendable (inout TrainingConfiguration) -> Void) {
      self.word = word
      self.change = change
    }
  }

  static let bad: [Bad] = [
    Bad("steps is 0") { $0.steps = 0 }, Bad("batch is 0") { $0.batch = 0 },
    Bad("longContexts is 1.5") { $0.longContexts = 1.5 },
    Bad("longContexts is nan") { $0.longContexts = .nan },
    Bad("learningRate is 0.0") { $0.learningRate = 0 },
    Bad("learningRate is nan") { $0.learningRate = .nan },
    Bad("learningRate is inf") { $0.learningRate = .infinity },
    Bad("threads is 0") { $0.threads = 0 }, Bad("clippingNorm is -1.0") { $0.clippingNorm = -1 },
    Bad("clippingNorm is nan") { $0.clippingNorm = .nan },
    Bad("clippingValue is inf") { $0.clippingValue = .infinity },
    Bad("gradientNoise is -0.1") { $0.gradientNoise = -0.1 },
    Bad("weightDecay is -1.0") { $0.weightDecay = -1 },
    Bad("momentum is 1.0") { $0.momentum = 1 },
    Bad("momentum is 0, expected above 0 for Nesterov") { ($0.momentum, $0.nesterov) = (0, true) },
    Bad("accumulate is 0") { $0.accumulate = 0 }, Bad("warmup is 21") { $0.warmup = 21 },
    Bad("warmup is -1") { $0.warmup = -1 }, Bad("gamma is 0.0") { $0.gamma = 0 },
    Bad("gamma is 1.5") { $0.gamma = 1.5 }, Bad("stepSize is 0") { $0.stepSize = 0 },
    Bad("validationWindows is -1") { $0.validationWindows = -1 },
    Bad("patience is 0") { $0.patience = 0 },
  ]

  @Test("a bad value is refused by name", arguments: bad.indices)
  func refused(index: Int) throws {
    var training = quick
    Self.bad[index].change(&training)
    do {
      _ = try Sample.fit(Sample.panel(Sample.seasonal(1)), training)
      Issue.record("not refused: \(Self.bad[index].word)")
    } catch let error as TrainingError {
      #expect(error.code == .badConfiguration)
      #expect(error.message.hasPrefix(Self.bad[index].word))
    }
  }
}
