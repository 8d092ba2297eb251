/// What to do with steps that have no observation.
package enum GapPolicy: String, Codable, Sendable, CaseIterable {
  /// They stay missing (NaN).
  case mask
  /// They count as zero.
  case zero
  /// The last observation is repeated.
  case forwardFill = "forward-fill"
  /// The series gets the verdict `gaps` and no forecast.
  case error
}

/// Rules by which rows become a panel.
package struct PanelOptions: Sendable {
  package var gaps: GapPolicy
  /// Different series that are allowed.
  package var maxSeries: Int
  /// Observations that a series needs to be predicted.
  package var minimumObservations: Int
  /// Steps from first to last observation that a series needs to be trained on.
  package var minimumTrainingSteps: Int

  package init(
    gaps: GapPolicy = .mask, maxSeries: Int = 1_000_000, minimumObservations: Int = 2,
    minimumTrainingSteps: Int = 4
  ) {
    self.gaps = gaps
    self.maxSeries = maxSeries
    self.minimumObservations = minimumObservations
    self.minimumTrainingSteps = minimumTrainingSteps
  }

  /// A series may span this many steps for its number of observations, else it is too sparse.
  static func largestSpan(observations: Int) -> Int { observations * 64 + 1024 }
}

/// Why no panel can be built at all.
package struct PanelError: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Code: String, Sendable {
    /// More different series than the job allows.
    case tooManySeries = "too-many-series"
  }

  package let code: Code
  package let limit: Int

  /// The data's fault; the same data fails again.
  package var isTransient: Bool { false }

  package var description: String {
    "the query returned more than \(limit) series; raise limits.maxSeries or select fewer"
  }
}
