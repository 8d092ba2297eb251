import Forecasters
import Training

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
  var trainer: TrainingConfiguration {
    TrainingConfiguration(
      steps: training.steps, batch: training.batch, learningRate: training.learningRate,
      seed: training.seed, validationWindows: training.validationWindows,
      patience: training.patience, timeBudgetSeconds: Double(limits.timeBudget.seconds))
  }
}
