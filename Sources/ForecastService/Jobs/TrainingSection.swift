import Training
import Yams

/// The keys under `training:`.
enum TrainingSection {
  static let keys = [
    "steps", "epochs", "batch", "accumulate", "recompute", "longContexts", "learningRate",
    "schedule", "warmup", "gamma",
    "stepSize", "optimiser", "weightDecay", "momentum", "nesterov", "clippingNorm", "clippingValue",
    "gradientNoise", "averaging", "seed", "refit", "warmStart", "validationWindows", "patience",
  ]

  static func read(
    _ node: Node?, _ refused: Set<String>, _ reader: inout JobNodeReader
  ) -> JobDefinition.Fit {
    var fit = JobDefinition.Fit()
    guard let node, let entries = reader.mapping(node, "training", keys: keys) else { return fit }
    fit.steps = reader.integer(entries["steps"], "training.steps", in: 1...1_000_000) ?? fit.steps
    fit.epochs = reader.integer(entries["epochs"], "training.epochs", in: 0...1_000_000)
    // Who says how many steps means them.
    if fit.epochs == nil, entries["steps"] != nil { fit.epochs = 0 }
    fit.batch = reader.integer(entries["batch"], "training.batch", in: 1...65_536) ?? fit.batch
    fit.accumulate =
      reader.integer(entries["accumulate"], "training.accumulate", in: 1...65_536) ?? fit.accumulate
    fit.recompute = reader.boolean(entries["recompute"], "training.recompute")
    fit.longContexts = reader.number(
      entries["longContexts"], "training.longContexts",
      expected: "a share of the steps from 0 to 1, such as 0.25", where: { (0...1).contains($0) })
    fit.seed =
      reader.integer(entries["seed"], "training.seed", in: 0...Int.max).map(UInt64.init) ?? fit.seed
    if !refused.contains("training.refit") {
      fit.refit = reader.choice(entries["refit"], "training.refit") ?? fit.refit
    }
    if !refused.contains("training.warmStart") {
      reader.expect("false", entries["warmStart"], "training.warmStart")
    }
    fit.validationWindows =
      reader.integer(entries["validationWindows"], "training.validationWindows", in: 0...1000)
      ?? fit.validationWindows
    fit.patience =
      reader.integer(entries["patience"], "training.patience", in: 1...1_000_000) ?? fit.patience
    readSchedule(entries, &fit, &reader)
    readOptimiser(entries, &fit, &reader)
    readGradient(entries, &fit, &reader)
    return fit
  }

  private static func readSchedule(
    _ entries: [String: Node], _ fit: inout JobDefinition.Fit, _ reader: inout JobNodeReader
  ) {
    fit.learningRate =
      reader.number(
        entries["learningRate"], "training.learningRate",
        expected: "a number above 0 and not above 10, such as 1e-3", where: { $0 > 0 && $0 <= 10 })
      ?? fit.learningRate
    fit.schedule = reader.choice(entries["schedule"], "training.schedule") ?? fit.schedule
    fit.warmup = reader.integer(entries["warmup"], "training.warmup", in: 0...1_000_000)
    if let warmup = fit.warmup, let node = entries["warmup"], warmup > fit.steps {
      reader.fail(
        node, "training.warmup: found \(warmup), expected at most \(fit.steps), the steps in all")
    }
    fit.gamma = reader.number(
      entries["gamma"], "training.gamma", expected: "a factor above 0 and not above 1, such as 0.1",
      where: { $0 > 0 && $0 <= 1 })
    fit.stepSize = reader.integer(entries["stepSize"], "training.stepSize", in: 1...1_000_000)
    if fit.schedule != .step {
      needs("schedule: step", ["gamma", "stepSize"], entries, &reader)
    }
  }

  private static func readOptimiser(
    _ entries: [String: Node], _ fit: inout JobDefinition.Fit, _ reader: inout JobNodeReader
  ) {
    fit.optimiser = reader.choice(entries["optimiser"], "training.optimiser") ?? fit.optimiser
    fit.weightDecay =
      reader.number(
        entries["weightDecay"], "training.weightDecay",
        expected: "a number from 0 to 10, such as 0.01", where: { $0 >= 0 && $0 <= 10 })
      ?? fit.optimiser.defaultWeightDecay
    fit.momentum = reader.number(
      entries["momentum"], "training.momentum", expected: "a number of at least 0 and less than 1",
      where: { $0 >= 0 && $0 < 1 })
    fit.nesterov = reader.boolean(entries["nesterov"], "training.nesterov")
    if fit.optimiser != .sgd {
      needs("optimiser: sgd", ["momentum", "nesterov"], entries, &reader)
    } else if let node = entries["nesterov"], fit.nesterov == true, fit.momentum == 0 {
      reader.fail(node, "training.nesterov: the momentum is 0, expected a momentum above 0")
    }
  }

  private static func readGradient(
    _ entries: [String: Node], _ fit: inout JobDefinition.Fit, _ reader: inout JobNodeReader
  ) {
    func amount(_ key: String, _ standard: Double, _ example: String) -> Double {
      reader.number(
        entries[key], "training.\(key)",
        expected: "a number of 0 (none) or more, such as \(example)", where: { $0 >= 0 })
        ?? standard
    }
    fit.clippingNorm = amount("clippingNorm", fit.clippingNorm, "1")
    fit.clippingValue = amount("clippingValue", fit.clippingValue, "0.5")
    fit.gradientNoise = amount("gradientNoise", fit.gradientNoise, "0.01")
    fit.averaging = reader.choice(entries["averaging"], "training.averaging") ?? fit.averaging
  }

  /// Keys that would be ignored, were they not refused.
  private static func needs(
    _ choice: String, _ keys: [String], _ entries: [String: Node], _ reader: inout JobNodeReader
  ) {
    for key in keys {
      guard let node = entries[key] else { continue }
      reader.fail(
        node, "training.\(key): has no effect here; write \(choice), or remove \(key)")
    }
  }
}
