/// What is wrong with a question about privacy, in one sentence.
public struct PrivacyError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Sendable {
    case badNoiseMultiplier, badSteps, badEpsilon, badDelta, badSamplingRate, badSensitivity
    case badParticipation, badGrid, badOrders
    /// No noise multiplier that can be represented reaches the epsilon.
    case unreachable
    /// More steps were asked for than were accounted for beforehand.
    case stepsExhausted
    /// Something to be made private was not a finite number.
    case notFinite
    /// What should be noise does not have the power that is accounted for.
    case notNoisy
  }

  /// Who can do something about it.
  public enum Fault: Sendable { case usage, data, us }

  public let code: Code
  public let message: String
  public var isTransient: Bool { false }
  public var fault: Fault {
    switch code {
    case .notFinite: .data
    case .stepsExhausted, .notNoisy: .us
    case .badNoiseMultiplier, .badSteps, .badEpsilon, .badDelta, .badSamplingRate, .badSensitivity,
      .badParticipation, .badGrid, .badOrders, .unreachable:
      .usage
    }
  }
  public var description: String { message }

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  static func check(delta: Double) throws {
    guard delta > 0, delta < 1 else {
      throw PrivacyError(.badDelta, "delta is \(delta), expected a number between 0 and 1")
    }
  }

  static func check(epsilon: Double) throws {
    guard epsilon >= 0 else {
      throw PrivacyError(.badEpsilon, "epsilon is \(epsilon), expected 0 or more")
    }
  }

  static func check(targetEpsilon epsilon: Double) throws {
    guard epsilon > 0, epsilon.isFinite else {
      throw PrivacyError(.badEpsilon, "epsilon is \(epsilon), expected a finite number above 0")
    }
  }

  static func check(noiseMultiplier: Double) throws {
    guard noiseMultiplier > 0, noiseMultiplier.isFinite else {
      throw PrivacyError(
        .badNoiseMultiplier,
        "the noise multiplier is \(noiseMultiplier), expected a finite number above 0")
    }
  }

  static func check(steps: Int) throws {
    guard steps >= 0 else {
      throw PrivacyError(.badSteps, "the number of steps is \(steps), expected 0 or more")
    }
  }

  static func check(samplingRate: Double) throws {
    guard samplingRate >= 0, samplingRate <= 1 else {
      throw PrivacyError(
        .badSamplingRate,
        "the sampling rate is \(samplingRate), expected a number from 0 to 1")
    }
  }
}
