import Crypto
package import Forecasters
package import Foundation
package import Privacy
package import Training

/// What a job file says, complete: defaults are filled in, nothing is optional that has a default.
///
/// Two files that mean the same give equal definitions and equal digests, whatever their comments, order
/// of keys or way of writing numbers.
package struct JobDefinition: Codable, Sendable, Equatable {
  package var job: String
  /// Cron expression in `timezone`; nil for jobs that run on demand.
  package var schedule: String?
  /// IANA name.
  package var timezone: String = "UTC"
  package var catchUp: CatchUp = .latest
  package var overlap: Overlap = .skip
  package var source: Source
  package var horizon: Int
  /// Steps of past that the model reads.
  package var contextLength: Int
  /// Season lengths in steps, shortest first; `[1]` for none.
  package var seasonality: [Int]
  package var model: Model = Model()
  package var training: Fit = Fit()
  /// Increasing, within 0 and 1.
  package var quantiles: [Double] = Self.defaultQuantiles
  package var calibration: Calibration = .none
  /// nil: the model is not private.
  package var privacy: Privacy?
  package var limits: Limits = Limits()

  package static let defaultQuantiles = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]

  /// What to do with due instants that nobody was there for.
  package enum CatchUp: String, Codable, Sendable, CaseIterable {
    case none, latest, all
  }

  /// What to do when the previous run is unfinished.
  package enum Overlap: String, Codable, Sendable, CaseIterable {
    case skip, queue
    case cancelRunning = "cancel-running"
  }

  package enum Calibration: String, Codable, Sendable, CaseIterable {
    case none
  }

  package struct Source: Codable, Sendable, Equatable {
    /// One statement, without a semicolon at the end; may hold `:cutoff`.
    package var query: String
    package var frequency: Frequency
    package var gaps: GapPolicy = .mask
  }

  package struct Model: Codable, Sendable, Equatable {
    package var kind: String = "lstm"
    /// Width of a layer.
    package var hidden: Int = 64
    package var layers: Int = 1
    /// Share of units dropped between layers while training.
    package var dropout: Double = 0
    /// What the kind leaves open beside these, as far as the file says it.
    package var options: [String: ModelOption.Value]?
  }

  /// How the model is fitted.
  package struct Fit: Codable, Sendable, Equatable {
    /// Optimiser steps at most.
    package var steps: Int = 500
    package var batch: Int = 64
    /// Batches whose gradients make one step.
    package var accumulate: Int = 1
    /// Whether activations are computed again in place of being kept; nil: no.
    package var recompute: Bool?
    /// Share of the steps that read several contexts; nil: that of the trainer.
    package var longContexts: Double?
    package var learningRate: Double = 2e-3
    package var schedule: ScheduleKind = .cosine
    /// nil: what suits the schedule.
    package var warmup: Int?
    /// Of the schedule `step`, nil for others and for its default; so is `stepSize`.
    package var gamma: Double?
    package var stepSize: Int?
    package var optimiser: OptimiserKind = .adam
    package var weightDecay: Double = 0
    /// nil: as the library does.
    package var epochs: Int?
    /// Of the optimiser `sgd`, nil for others and for its default; so is `nesterov`.
    package var momentum: Double?
    package var nesterov: Bool?
    /// 0: none; so is `clippingValue`.
    package var clippingNorm: Double = 1
    package var clippingValue: Double = 0
    /// Variance at the first step; 0: none.
    package var gradientNoise: Double = 0
    package var averaging: WeightAveraging = .ema
    package var seed: UInt64 = 1
    package var refit: Refit = .always
    /// Last windows of each series kept for early stopping; 0: none.
    package var validationWindows: Int = 1
    /// Validations without improvement after which training stops.
    package var patience: Int = 10
  }

  /// Private training, and who pays for it.
  package struct Privacy: Codable, Sendable, Equatable {
    /// Account of the ledger.
    package var budget: String
    package var training: PrivacyConfiguration?
    /// Of the mechanism `inputs`, which makes no difference to the training: then `training` is nil.
    package var inputs: InputPrivacy?
    /// Blocks of time that the account has budgets for; nil: one budget for all data.
    package var block: BlockPeriod?
    /// Blocks to train on, the one of the cutoff included; nil without blocks.
    package var history: Int?

    /// Where the data are that a run may train on.
    package var scope: PrivacyScope.History? {
      guard let block, let history else { return nil }
      return PrivacyScope.History(period: block, blocks: history)
    }
  }

  /// Noise on every value, before anything is made of it.
  package struct InputPrivacy: Codable, Sendable, Equatable {
    /// For so many slots together, at `delta`.
    package var epsilon: Double
    package var delta: Double
    /// Most that one person changes the values of a time slot by, in the Euclidean norm.
    package var sensitivity: Double
    /// Time slots that the noise is for.
    package var slots: Int
    /// Slots up to the first run's cutoff that it releases.
    package var history: Int
    /// Whether released values are rounded to whole numbers, and cut at zero.
    package var rounded = false
    package var nonNegative = false

    /// - Throws: `PrivacyError`.
    package func mechanism() throws -> InputPerturbation {
      try InputPerturbation(
        sensitivity: sensitivity, slots: slots, epsilon: epsilon, delta: delta)
    }
  }

  package enum Refit: String, Codable, Sendable, CaseIterable {
    case always
  }

  package struct Limits: Codable, Sendable, Equatable {
    package var timeBudget: TimeSpan = TimeSpan(seconds: 7200)
    package var maxSeries: Int = 1_000_000
  }
}

extension JobDefinition.Fit {
  /// Definitions that were stored before a key existed mean its default.
  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func value<Value: Decodable>(_ key: CodingKeys) throws -> Value {
      try container.decode(Value.self, forKey: key)
    }
    func added<Value: Decodable>(_ key: CodingKeys, _ standard: Value) throws -> Value {
      try container.decodeIfPresent(Value.self, forKey: key) ?? standard
    }
    self.init()
    steps = try value(.steps)
    epochs = try added(.epochs, epochs)
    batch = try value(.batch)
    accumulate = try added(.accumulate, accumulate)
    recompute = try added(.recompute, recompute)
    longContexts = try added(.longContexts, longContexts)
    learningRate = try value(.learningRate)
    schedule = try added(.schedule, schedule)
    warmup = try added(.warmup, warmup)
    gamma = try added(.gamma, gamma)
    stepSize = try added(.stepSize, stepSize)
    optimiser = try added(.optimiser, optimiser)
    weightDecay = try added(.weightDecay, optimiser.defaultWeightDecay)
    momentum = try added(.momentum, momentum)
    nesterov = try added(.nesterov, nesterov)
    clippingNorm = try added(.clippingNorm, clippingNorm)
    clippingValue = try added(.clippingValue, clippingValue)
    gradientNoise = try added(.gradientNoise, gradientNoise)
    averaging = try added(.averaging, averaging)
    seed = try value(.seed)
    refit = try value(.refit)
    validationWindows = try value(.validationWindows)
    patience = try value(.patience)
  }
}

extension JobDefinition {
  /// The job's time zone; UTC where this machine does not know it (refused when the file is read).
  package var zone: TimeZone { TimeZone(identifier: timezone) ?? .gmt }

  /// The steps of the job's series.
  package var grid: CalendarGrid { CalendarGrid(frequency: source.frequency, timeZone: zone) }

  /// Rules of the job by which rows become a panel.
  package var panelOptions: PanelOptions {
    PanelOptions(
      gaps: source.gaps, maxSeries: limits.maxSeries, minimumObservations: 2,
      minimumTrainingSteps: horizon + 2)
  }

  /// JSON with sorted keys and all defaults: what is stored, and what the digest is of.
  package func canonicalJSON() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }

  /// Reads ``canonicalJSON()`` back; any order of keys and spacing will do.
  ///
  /// - Throws: `JobFileError` when it is no definition of this version.
  package init(canonicalJSON text: String) throws {
    do {
      self = try JSONDecoder().decode(Self.self, from: Data(text.utf8))
    } catch {
      throw JobFileError(
        file: "stored definition",
        problems: [
          JobProblem(
            line: 1, column: 1,
            "cannot be read by this version (\(Self.reason(error))); apply the job file again")
        ])
    }
  }

  private static func reason(_ error: any Error) -> String {
    func path(_ context: DecodingError.Context) -> String {
      context.codingPath.map(\.stringValue).joined(separator: ".")
    }
    switch error as? DecodingError {
    case .keyNotFound(let key, let context)?:
      return "\(path(context)) lacks \(key.stringValue)"
    case .typeMismatch(_, let context)?, .valueNotFound(_, let context)?,
      .dataCorrupted(let context)?:
      return "\(path(context)): \(context.debugDescription)"
    default: return "not JSON"
    }
  }

  /// SHA-256 of ``canonicalJSON()``.
  package func digest() throws -> [UInt8] {
    Array(SHA256.hash(data: Data(try canonicalJSON().utf8)))
  }
}
