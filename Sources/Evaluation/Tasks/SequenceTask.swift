// Names: shape letters T, B, F, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
package import NumericsCore

/// Synthetic sequences that show what a backbone's state can do, and whether it goes on doing it beyond the
/// length it was trained at.
public enum SequenceTask: String, CaseIterable, Sendable {
  /// Whether the number of ones so far is odd (Grazzi et al. 2024): needs a state that flips.
  case parity
  /// The sum of all digits so far, modulo 3.
  case modular
  /// Eight symbols, a pause, the same symbols again (Hochreiter & Schmidhuber 1997; Arjovsky et al. 2016).
  case copy
  /// The sum of the two marked numbers of many (Hochreiter & Schmidhuber 1997).
  case adding
  /// The next value of a noisy wave: no memory test, but the error must not grow with the length read.
  case wave

  private static var symbols: Int { 8 }

  /// Inputs of a step.
  public var inputs: Int {
    switch self {
    case .parity, .wave: 1
    case .modular: 3
    case .copy: Self.symbols + 1
    case .adding: 2
    }
  }

  /// Outputs of a step.
  public var outputs: Int {
    switch self {
    case .parity, .adding, .wave: 1
    case .modular: 3
    case .copy: Self.symbols
    }
  }

  /// Whether the score is the share of right answers; else it is a mean squared error.
  public var isClassification: Bool {
    switch self {
    case .parity, .modular, .copy: true
    case .adding, .wave: false
    }
  }

  /// Draws `B` sequences of `T` steps.
  ///
  /// - Parameters:
  ///   - x: inputs `[T, B, F]`.
  ///   - y: targets `[T, B, K]`; of classes, 1 for the right one and -1 for the others.
  ///   - scored: `[T, B]`, 1 where the output of a step counts and 0 elsewhere.
  package func draw(
    steps T: Int, batch B: Int, from stream: inout RandomStream,
    _ x: UnsafeMutablePointer<Float>, _ y: UnsafeMutablePointer<Float>,
    _ scored: UnsafeMutablePointer<Float>
  ) {
    let (F, K) = (inputs, outputs)
    for k in 0..<(T * B * F) { x[k] = 0 }
    for k in 0..<(T * B * K) { y[k] = isClassification ? -1 : 0 }
    for k in 0..<(T * B) { scored[k] = 0 }
    for b in 0..<B {
      func place(_ t: Int) -> Int { t * B + b }
      switch self {
      case .parity:
        var odd = false
        for t in 0..<T {
          let one = stream.index(below: 2) == 1
          if one { odd.toggle() }
          x[place(t)] = one ? 1 : -1
          y[place(t)] = odd ? 1 : -1
          scored[place(t)] = 1
        }
      case .modular:
        var sum = 0
        for t in 0..<T {
          let digit = stream.index(below: 3)
          sum = (sum + digit) % 3
          x[place(t) * F + digit] = 1
          y[place(t) * K + sum] = 1
          scored[place(t)] = 1
        }
      case .copy:
        let count = min(8, T / 2)
        for t in 0..<count {
          let symbol = stream.index(below: Self.symbols)
          x[place(t) * F + symbol] = 1
          let answer = place(T - count + t)
          y[answer * K + symbol] = 1
          x[answer * F + Self.symbols] = 1
          scored[answer] = 1
        }
      case .adding:
        let first = stream.index(below: T / 2)
        let second = T / 2 + stream.index(below: T - T / 2)
        var sum: Float = 0
        for t in 0..<T {
          let value = Float(stream.uniform())
          x[place(t) * F] = value
          if t == first || t == second {
            x[place(t) * F + 1] = 1
            sum += value
          }
        }
        y[place(T - 1)] = sum
        scored[place(T - 1)] = 1
      case .wave:
        // From the end backwards, by a stream of its own: whatever the length, the same last steps.
        let seed = UInt64(stream.nextWord()) << 32 | UInt64(stream.nextWord())
        var own = RandomStream(seed: seed, purpose: "wave")
        let period = 6 + 6 * own.uniform()
        let phase = own.uniform()
        for age in 0..<T {
          func wave(_ age: Int) -> Double { sin(2 * .pi * (phase - Double(age) / period)) }
          let t = T - 1 - age
          x[place(t)] = Float(wave(age) + 0.1 * own.normal())
          y[place(t)] = Float(wave(age - 1))
          scored[place(t)] = age < 8 ? 1 : 0
        }
      }
    }
  }
}
