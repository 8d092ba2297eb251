import Foundation

/// Sine and cosine of a fraction of a turn.
enum Trigonometry {
  static func sine(_ turn: Double) -> Double { sin(2 * .pi * turn) }
  static func cosine(_ turn: Double) -> Double { cos(2 * .pi * turn) }
}
