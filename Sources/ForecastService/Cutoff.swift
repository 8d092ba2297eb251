package import Foundation

/// The last point of time whose observations a run uses; also the origin of its forecasts.
package enum Cutoff: Sendable, Equatable, CustomStringConvertible {
  /// For series with a calendar.
  case at(Date)
  /// For series counted in integer steps; `Int64.max` uses everything.
  case index(Int64)

  package var date: Date? {
    if case .at(let date) = self { date } else { nil }
  }

  package var index: Int64? {
    if case .index(let index) = self { index } else { nil }
  }

  package var description: String {
    switch self {
    case .at(let date): date.formatted(.iso8601)
    case .index(.max): "all steps"
    case .index(let index): "step \(index)"
    }
  }
}
