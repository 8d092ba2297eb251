import Forecasters
import Foundation
import NumericsCore
import TestSupport
import Testing
import Training

@Suite("Training checkpoints")
struct CheckpointTests {
  private let panel = Sample.panel(Sample.seasonal(3, missing: 0.05))

  private struct Killed: Error {}

  /// Everything of a result that does not depend on the time.
  private struct Outcome: Equatable {
    let bytes: [UInt8]
    let bestStep: Int
    let steps: Int
    let validationLoss: Double?
    let trainingLoss: Double?
    let retries: Int
    let outOfTime: Bool

    init(_ result: TrainingResult) throws {
      bytes = try result.forecaster.encoded()
      bestStep = result.bestStep
      steps = result.steps
      validationLoss = result.validationLoss
      trainingLoss = result.trainingLoss
      retries = result.retries
      outOfTime = result.stoppedByTimeBudget
    }
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let training: TrainingConfiguration
    var testDescription: String { name }
    init(_ name: String, _ change: (inout TrainingConfiguration) -> Void) {
      self.name = name
      var training = TrainingConfiguration(steps: 12, batch: 4, learningRate: 1e-2, patience: 3)
      change(&training)
      self.training = training
    }
  }

  /// Diverges at its rate and not at a tenth of it: weights are multiplied by -17 in every step, then by -0.8.
  static let diverging = Case("a retry after divergence") {
    ($0.steps, $0.optimiser, $0.weightDecay, $0.learningRate) = (40, .sgd, 18, 1)
    ($0.schedule, $0.clippingNorm, $0.momentum, $0.patience) = (.constant, 0, 0, 100)
  }

  static let cases: [Case] = [
    Case("defaults") { _ in },
    Case("early stopping") { ($0.patience, $0.learningRate, $0.steps) = (1, 0.3, 40) },
    Case("no refit") { $0.refitOnAll = false },
    Case("no validation") { $0.validationWindows = 0 },
    Case("two threads") { $0.threads = 2 },
    Case("AdamW, SWA, noise, micro-batches") {
      ($0.optimiser, $0.weightDecay, $0.averaging) = (.adamw, 0.01, .swa)
      ($0.gradientNoise, $0.accumulate, $0.clippingValue) = (0.01, 3, 0.1)
    },
    Case("RAdam, one-cycle, no average") {
      ($0.optimiser, $0.schedule, $0.averaging) = (.radam, .oneCycle, .none)
    },
    Case("SGD with Nesterov's momentum, steps") {
      ($0.optimiser, $0.nesterov, $0.schedule) = (.sgd, true, .step)
    },
    Case("Adagrad, linear") { ($0.optimiser, $0.schedule) = (.adagrad, .linear) },
    diverging,
  ]

  private var forecaster: ForecasterConfiguration {
    var configuration = Sample.configuration
    configuration.layers = 2
    configuration.dropout = 0.2
    return configuration
  }

  @Test(
    "a run killed at any step and resumed gives the bytes of one that was not", arguments: cases)
  func resumed(one: Case) throws {
    let trainer = Trainer(one.training)
    let whole = try Outcome(trainer.fit(forecaster, on: panel))
    var seen: [(phase: TrainingProgress.Phase, loss: Double)] = []
    _ = try trainer.fit(forecaster, on: panel) { seen.append(($0.phase, $0.trainingLoss)) }
    #expect(one.name != Self.diverging.name || whole.retries == 1)
    if one.training.refitOnAll && one.training.validationWindows > 0 {
      #expect(seen.contains { $0.phase == .refit })
    }
    for every in [1, 5] {
      for kill in 1...seen.count where every == 1 || kill % 3 == 0 {
        var saved: [UInt8]?
        var calls = 0
        #expect(throws: Killed.self) {
          _ = try trainer.fit(
            forecaster, on: panel,
            checkpointing: Checkpointing(everySteps: every) { saved = try $0.encoded() }
          ) { _ in
            calls += 1
            if calls == kill { throw Killed() }
          }
        }
        let checkpoint = try saved.map { try TrainingCheckpoint(decoding: $0) }
        if every == 1 {
          let checkpoint = try #require(checkpoint)
          #expect(checkpoint.phase == seen[kill - 1].phase)
        }
        var losses: [Double] = []
        let result = try trainer.fit(forecaster, on: panel, resume: checkpoint) {
          losses.append($0.trainingLoss)
        }
        #expect(try Outcome(result) == whole, "killed after \(kill) steps")
        // And went on, rather than beginning again.
        if every == 1, whole.retries == 0 {
          #expect(losses == seen[kill...].map(\.loss), "killed after \(kill) steps")
        }
      }
    }
  }

  @Test("a run may be killed and resumed again and again")
  func repeatedly() throws {
    let trainer = Trainer(Self.cases[5].training)
    let whole = try Outcome(trainer.fit(forecaster, on: panel))
    var checkpoint: TrainingCheckpoint?
    var starts = 0
    while true {
      starts += 1
      var calls = 0
      do {
        let result = try trainer.fit(
          forecaster, on: panel, resume: checkpoint,
          checkpointing: Checkpointing(everySteps: 1) { checkpoint = $0 }
        ) { _ in
          calls += 1
          if calls == 2 { throw Killed() }
        }
        #expect(try Outcome(result) == whole)
        break
      } catch is Killed {}
    }
    #expect(starts > 8)
  }

  @Test("checkpoints come when they are due, and asking for them changes nothing")
  func due() throws {
    let training = TrainingConfiguration(steps: 12, batch: 4, refitOnAll: false)
    var steps: [Int] = []
    let result = try Trainer(training).fit(
      forecaster, on: panel, checkpointing: Checkpointing(everySteps: 5) { steps.append($0.steps) })
    #expect(steps == [5, 10])
    #expect(try Outcome(result) == Outcome(Sample.fit(panel, training, forecaster)))
    var count = 0
    _ = try Trainer(training).fit(
      forecaster, on: panel,
      checkpointing: Checkpointing(everySteps: 1, leastSeconds: 1e6) { _ in count += 1 })
    #expect(count == 1)
    #expect(throws: Killed.self) {
      _ = try Trainer(training).fit(
        forecaster, on: panel, checkpointing: Checkpointing(everySteps: 3) { _ in throw Killed() })
    }
  }

  @Test("the time before an interruption counts")
  func seconds() throws {
    var training = TrainingConfiguration(steps: 12, batch: 4, refitOnAll: false)
    let checkpoint = try self.checkpoint(training, at: 2)
    training.timeBudgetSeconds = checkpoint.seconds / 2
    let result = try Trainer(training).fit(forecaster, on: panel, resume: checkpoint)
    #expect(result.stoppedByTimeBudget && result.steps == 3)
    #expect(result.seconds > checkpoint.seconds)
  }

  private func checkpoint(
    _ training: TrainingConfiguration, at step: Int, _ other: ForecasterConfiguration? = nil
  ) throws -> TrainingCheckpoint {
    var saved: TrainingCheckpoint?
    _ = try Trainer(training).fit(
      other ?? forecaster, on: panel,
      checkpointing: Checkpointing(everySteps: 1) { if $0.steps == step { saved = $0 } })
    return try #require(saved)
  }

  private func refusal(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "accepted"
    } catch let error as TrainingError {
      #expect(error.code == .badCheckpoint)
      return error.message
    } catch { return "another error: \(error)" }
  }

  @Test("a checkpoint of another training is refused with what is different")
  func foreign() throws {
    let training = TrainingConfiguration(steps: 12, batch: 4)
    let checkpoint = try self.checkpoint(training, at: 3)
    func resume(
      _ training: TrainingConfiguration, _ forecaster: ForecasterConfiguration, _ panel: Panel
    ) -> String {
      refusal { _ = try Trainer(training).fit(forecaster, on: panel, resume: checkpoint) }
    }
    #expect(resume(training, forecaster, panel) == "accepted")
    var budget = training
    budget.timeBudgetSeconds = 1e6
    #expect(resume(budget, forecaster, panel) == "accepted")
    var rate = training
    rate.learningRate = 0.5
    #expect(resume(rate, forecaster, panel).contains("learningRate 0.002, this one has 0.5"))
    var optimiser = training
    optimiser.optimiser = .adagrad
    #expect(resume(optimiser, forecaster, panel).contains("optimiser adam, this one has adagrad"))
    var threads = training
    threads.threads = 2
    #expect(resume(threads, forecaster, panel).contains("threads 1, this one has 2"))
    var warmup = training
    warmup.warmup = 4
    #expect(resume(warmup, forecaster, panel).contains("warmup nothing, this one has 4"))
    var wide = forecaster
    wide.hidden = 9
    #expect(resume(training, wide, panel).contains("forecaster with hidden 8, this one has 9"))

    var values = panel
    values.values[7] += 1e-9
    var ordinals = panel
    ordinals.firstOrdinals[1] += 1
    var offsets = panel
    offsets.offsets[1] += 1
    var clock = panel
    clock.clock = SeasonClock(stepsPerDay: 4, changes: [(ordinal: 9, shift: 1)], before: 0)
    for other in [values, ordinals, offsets, clock] {
      #expect(resume(training, forecaster, other).contains("it is of other data"))
    }
    var names = panel
    names.keys[0] = "renamed"
    #expect(resume(training, forecaster, names) == "accepted")
  }

  @Test("bytes come back as the same checkpoint, in both phases")
  func roundTrip() throws {
    let training = TrainingConfiguration(steps: 12, batch: 4)
    for step in [3, 14] {
      let checkpoint = try self.checkpoint(training, at: step)
      #expect(checkpoint.phase == (step == 3 ? .fit : .refit))
      let bytes = try checkpoint.encoded()
      let back = try TrainingCheckpoint(decoding: bytes)
      #expect(back == checkpoint)
      #expect(try back.encoded() == bytes)
    }
  }

  @Test("bytes that were cut, changed or made up are refused and never crash", arguments: 0..<8)
  func corrupted(seed: Int) throws {
    let training = TrainingConfiguration(steps: 12, batch: 4)
    let forecaster = Sample.configuration
    let bytes = try checkpoint(training, at: seed % 2 == 0 ? 3 : 14, forecaster).encoded()
    var random = SeededGenerator(seed: UInt64(seed))
    let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    for count in [0, 7, 8, 100, 8 + length, bytes.count - 1] {
      let text = refusal { _ = try TrainingCheckpoint(decoding: Array(bytes[..<count])) }
      #expect(text.hasPrefix("these bytes are no checkpoint of ours"))
    }
    #expect(
      refusal {
        _ = try TrainingCheckpoint(
          decoding: Trainer(training).fit(forecaster, on: panel).forecaster.encoded())
      }.contains("do not say forecast-training-1"))
    for _ in 0..<60 {
      var changed = bytes
      for _ in 0...(Int(random.next() % 3)) {
        // Mostly where counters and names are.
        let place = Int(random.next() % UInt64(min(bytes.count, length + 150)))
        changed[place] = UInt8(truncatingIfNeeded: random.next())
      }
      // What still reads as a checkpoint of this training may be resumed; a step later it has shown that it
      // does not run out of its memory.
      guard let checkpoint = try? TrainingCheckpoint(decoding: changed) else { continue }
      do {
        _ = try Trainer(training).fit(forecaster, on: panel, resume: checkpoint) { _ in
          throw Killed()
        }
      } catch is Killed {} catch is TrainingError {}
    }
  }
}
