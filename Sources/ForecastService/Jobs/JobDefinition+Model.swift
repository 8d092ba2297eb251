import Forecasters
package import Training

// What a definition says, in the words of the library below.
extension JobDefinition {
  var forecaster: ForecasterConfiguration {
    ForecasterConfiguration(
      kind: model.kind, hidden: model.hidden, layers: model.layers, dropout: model.dropout,
      options: model.options ?? [:], contextLength: contextLength, horizon: horizon,
      quantiles: quantiles,
      seasonality: seasonality)
  }

  /// Threads are the worker's choice and left at 1.
  package var trainer: TrainingConfiguration {
    var configuration = TrainingConfiguration(
      steps: training.steps, batch: training.batch, accumulate: training.accumulate,
      learningRate: training.learningRate, schedule: training.schedule, warmup: training.warmup,
      stepSize: training.stepSize, optimiser: training.optimiser,
      weightDecay: training.weightDecay, clippingNorm: training.clippingNorm,
      clippingValue: training.clippingValue, gradientNoise: training.gradientNoise,
      averaging: training.averaging, seed: training.seed,
      validationWindows: training.validationWindows, patience: training.patience,
      timeBudgetSeconds: Double(limits.timeBudget.seconds))
    configuration.epochs = training.epochs ?? configuration.epochs
    configuration.recompute = training.recompute ?? configuration.recompute
    configuration.longContexts = training.longContexts ?? configuration.longContexts
    configuration.gamma = training.gamma ?? configuration.gamma
    configuration.momentum = training.momentum ?? configuration.momentum
    configuration.nesterov = training.nesterov ?? configuration.nesterov
    return configuration
  }

  /// nil for jobs without privacy, or whose inputs are private. A private training takes all its steps: there is no time budget.
  package var privateTrainer: PrivateTrainer? {
    guard let privacy = privacy?.training else { return nil }
    var configuration = trainer
    configuration.timeBudgetSeconds = nil
    return PrivateTrainer(configuration, privacy: privacy)
  }
}
