import Foundation

/// How a forecaster is trained. Together with data, build and thread count it determines the weights.
public struct TrainingConfiguration: Codable, Sendable, Equatable {
  /// Optimiser steps at most.
  public var steps: Int
  /// Windows per step.
  public var batch: Int
  /// Peak of the learning rate: linear warm-up over a twentieth of the steps, then half a cosine to zero.
  public var learningRate: Double
  public var seed: UInt64
  public var threads: Int
  /// The gradient's norm is clipped to this.
  public var clippingNorm: Double
  /// Windows held out at the end of every long enough series for early stopping; 0 switches it off.
  public var validationWindows: Int
  /// Evaluations (20 in all) without improvement after which training stops.
  public var patience: Int
  /// Train again on everything, held-out windows included, for as many steps as were best.
  public var refitOnAll: Bool
  /// Wall-clock seconds after which training stops with what it has; nil: no limit.
  public var timeBudgetSeconds: Double?

  public init(
    steps: Int = 500, batch: Int = 64, learningRate: Double = 2e-3, seed: UInt64 = 1,
    threads: Int = 1, clippingNorm: Double = 1, validationWindows: Int = 1, patience: Int = 10,
    refitOnAll: Bool = true, timeBudgetSeconds: Double? = nil
  ) {
    self.steps = steps
    self.batch = batch
    self.learningRate = learningRate
    self.seed = seed
    self.threads = threads
    self.clippingNorm = clippingNorm
    self.validationWindows = validationWindows
    self.patience = patience
    self.refitOnAll = refitOnAll
    self.timeBudgetSeconds = timeBudgetSeconds
  }

  /// - Throws: `TrainingError.badConfiguration`.
  public func validate() throws {
    func require(_ holds: Bool, _ text: String) throws {
      if !holds { throw TrainingError(.badConfiguration, text) }
    }
    try require(steps >= 1, "steps is \(steps), expected at least 1")
    try require(batch >= 1, "batch is \(batch), expected at least 1")
    try require(
      learningRate > 0 && learningRate.isFinite, "learningRate is \(learningRate), expected above 0"
    )
    try require(threads >= 1, "threads is \(threads), expected at least 1")
    try require(clippingNorm > 0, "clippingNorm is \(clippingNorm), expected above 0")
    try require(
      validationWindows >= 0, "validationWindows is \(validationWindows), expected 0 or more")
    try require(patience >= 1, "patience is \(patience), expected at least 1")
  }
}

/// What stopped a training, in one sentence.
public struct TrainingError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Sendable { case badConfiguration, noWindows, notFinite }

  public let code: Code
  public let message: String
  public var isTransient: Bool { false }
  public var description: String { message }

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }
}

/// How far a training is.
public struct TrainingProgress: Sendable {
  public enum Phase: String, Sendable { case fit, refit }

  public let phase: Phase
  public let step: Int
  public let steps: Int
  /// Mean quantile loss of the step's batch, in scaled units.
  public let trainingLoss: Double
  /// The same on the held-out windows, at the last evaluation.
  public let validationLoss: Double?

  /// Fraction of all work that is done, 0 to 1.
  public let fraction: Double
}
