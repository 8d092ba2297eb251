package import Foundation
package import Privacy

/// What an attack on a private mechanism found out, beside what it claims.
public struct PrivateAudit: Sendable {
  /// Of what was audited, with the noise of the whole.
  public let claim: Claim
  /// Of all bounds and of the verdict; see ``OneRunAudit``.
  public let confidence: Double
  public let canaries: Int
  /// How many of them were in the data.
  public let included: Int
  /// Epsilon is not below it, whatever the mechanism is.
  public let bound: Bound
  /// Epsilon is not below it, if the mechanism is the claimed one with some other noise; see ``CurveAudit``.
  public let curveBound: Double
  /// What `bound` would be if every guess had been right: it cannot refute a claim above.
  public let ceiling: Double
  /// Whether the guesses contradict what is claimed, by one of the two.
  public let isRefuted: Bool
  public let findings: [Finding]
  public let seconds: Double

  /// What is claimed, and of what.
  public struct Claim: Sendable, Equatable {
    /// As job files name them.
    public enum Mechanism: String, Sendable, CaseIterable {
      case gradients, correlated, inputs
    }
    public let mechanism: Mechanism
    /// What is protected, as a job file names it.
    public let unit: String
    public let epsilon: Double
    public let delta: Double
    /// Of the training; of `inputs` time slots.
    public let steps: Int
    /// Of `gradients`.
    public let samplingRate: Double?
    /// Of `correlated`.
    public let cycle: Int?
    public let bands: Int?
    /// Standard deviation of independent noise, in clipping norms; of `inputs` in sensitivities.
    public let noiseMultiplier: Double

    package init(
      _ mechanism: Mechanism, unit: String, epsilon: Double, delta: Double, steps: Int,
      samplingRate: Double? = nil, cycle: Int? = nil, bands: Int? = nil, noiseMultiplier: Double
    ) {
      (self.mechanism, self.unit) = (mechanism, unit)
      (self.epsilon, self.delta, self.steps) = (epsilon, delta, steps)
      (self.samplingRate, self.cycle, self.bands) = (samplingRate, cycle, bands)
      self.noiseMultiplier = noiseMultiplier
    }
  }

  public struct Bound: Sendable, Equatable {
    public let epsilon: Double
    /// Of the guesses that it comes from.
    public let guesses: Int
    public let correct: Int
  }

  /// Something that was looked at beside the guesses.
  public struct Finding: Sendable, Equatable {
    public enum Name: String, Sendable, CaseIterable {
      /// Every unit independently in every batch, with the rate that is accounted for.
      case sampling
      /// No unit in more steps, or in steps closer together, than is accounted for.
      case participation
      /// Every value released once, in a slot that is charged.
      case releases
      /// Noise of the standard deviation that is accounted for, independent or correlated as it is.
      case noise
      /// No bits below the grid that noise is drawn on.
      case rounding
      /// No unit changes what is released by more than the noise is for.
      case sensitivity
      /// The model follows from the noisy sums and nothing else.
      case postProcessing = "post-processing"
    }
    public let name: Name
    public let isRight: Bool
    /// What was seen.
    public let detail: String

    package init(_ name: Name, isRight: Bool, _ detail: String) {
      (self.name, self.isRight, self.detail) = (name, isRight, detail)
    }
  }

  /// Whether nothing speaks against the claim.
  public var isConsistent: Bool { !isRefuted && findings.allSatisfy(\.isRight) }
}

extension PrivateAudit {
  /// Canaries of an audit that says nothing else.
  public static let standardCanaries = 1000

  /// Judges the canaries' scores.
  ///
  /// - Parameters:
  ///   - mechanism: of which `steps` steps have the trade-off curve that is claimed.
  ///   - addedDelta: what of the claim's delta is not for the mechanism.
  ///   - began: when the audit did.
  /// - Throws: `PrivacyError`.
  package init(
    _ claim: Claim, _ scored: Canaries, _ mechanism: SubsampledGaussian, steps: Int,
    addedDelta: Double, confidence: Double, findings: [Finding], began: Date
  ) throws {
    let delta = claim.delta - addedDelta
    // Both bounds together hold with the confidence.
    let each = (1 + confidence) / 2
    let audit = OneRunAudit(scored, confidence: each)
    let curve = try TradeOffCurve(PrivacyLossAccountant(mechanism, steps: steps))
    let curveAudit = CurveAudit(scored, curve, confidence: each)
    let bound = audit.bound(delta: delta)
    self.claim = claim
    self.confidence = confidence
    canaries = scored.count
    included = scored.isIncluded.count { $0 }
    self.bound = Bound(epsilon: bound.epsilon, guesses: bound.guesses, correct: bound.correct)
    curveBound = try curveAudit.bound(mechanism, steps: steps, delta: delta)
    ceiling = audit.ceiling(delta: delta)
    isRefuted = bound.epsilon > claim.epsilon || curveAudit.refutes(curve)
    self.findings = findings
    seconds = Date().timeIntervalSince(began)
  }

  /// - Parameter name: of steps, in messages.
  /// - Throws: `TrainingError.badConfiguration` for numbers that make no audit.
  package static func check(
    steps: Int?, of all: Int, name: String, confidence: Double
  ) throws {
    func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
      if !holds { throw TrainingError(.badConfiguration, text()) }
    }
    try require(
      steps.map { (1...all).contains($0) } ?? true,
      "steps is \(steps ?? 0), expected 1 to \(all), \(name)")
    try require(
      confidence >= 0.5 && confidence < 1,
      "confidence is \(confidence), expected at least 0.5 and less than 1")
  }
}

extension PrivateAudit.Claim {
  init(_ charge: PrivacyCharge) {
    let isSampled = charge.mechanism == .gradients
    self.init(
      isSampled ? .gradients : .correlated, unit: charge.unit.rawValue, epsilon: charge.epsilon,
      delta: charge.delta, steps: charge.steps,
      samplingRate: isSampled ? charge.samplingRate : nil, cycle: charge.cycle,
      bands: charge.bands, noiseMultiplier: charge.noiseMultiplier)
  }
}

extension PrivateAudit.Finding {
  package static func number(_ value: Double) -> String {
    value.formatted(.number.precision(.significantDigits(1...4)).grouping(.never))
  }

  /// - Parameter step: what the noise is drawn for at a time.
  package init(_ noise: NoiseWitness, step: String = "step") {
    var detail =
      "\(Self.number(noise.all.deviation)) times the noise that is claimed, in \(noise.all.count) numbers"
    if let wrong = noise.step, abs(wrong.deviation - noise.all.deviation) > 0.1 {
      detail += "; \(Self.number(wrong.deviation)) times in \(step) \(wrong.number)"
    }
    if let dependence = noise.dependence, dependence.isPlain {
      detail +=
        dependence.apart == 0
        ? "; that of neighbours in a \(step) has a correlation of "
        : "; that of \(step)s \(dependence.apart) apart has a correlation of "
      detail += Self.number(dependence.correlation)
    }
    self.init(.noise, isRight: !noise.isOff, detail)
  }

  init(_ sensitivity: PrivateRun.Sensitivity) {
    let isCrafted = sensitivity.crafted >= sensitivity.real
    self.init(
      .sensitivity, isRight: !sensitivity.isOff,
      "at most \(Self.number(max(sensitivity.crafted, sensitivity.real))) clipping norms"
        + (sensitivity.isOff ? isCrafted ? ", in \(sensitivity.place)" : ", by a series" : ""))
  }

  init(follows: Bool, steps: Int) {
    self.init(
      .postProcessing, isRight: follows,
      follows
        ? "the weights are those that the noisy sums of \(steps) step\(steps == 1 ? "" : "s") give"
        : "the weights are not those that the noisy sums give")
  }
}
