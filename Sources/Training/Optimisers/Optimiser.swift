package import NumericsCore

/// The rule by which gradients become steps.
public enum OptimiserKind: String, Codable, Sendable, CaseIterable {
  /// Kingma & Ba 2015.
  case adam
  /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
  case adamw
  /// Adam that waits for its variance to become tractable (Liu et al. 2020), in place of a warm-up.
  case radam
  /// Gradient descent with momentum (Polyak 1964), on request Nesterov's (Sutskever et al. 2013).
  case sgd
  /// Duchi, Hazan & Singer 2011.
  case adagrad

  /// 0.01 for `adamw`, as in PyTorch, and none for the others.
  public var defaultWeightDecay: Double { self == .adamw ? 0.01 : 0 }
}

/// An optimiser with its state over one flat buffer; a step is one pass over memory.
///
/// Definitions and constants are those of `torch.optim` (beta 0.9 and 0.999, Adagrad 1e-10).
/// Weight decay is decoupled for `adamw` and an L2 penalty for the others, as there.
package final class Optimiser<Element: Real> {
  private let kind: OptimiserKind
  private let weightDecay: Double
  private let momentum: Double
  private let nesterov: Bool
  private let epsilon: Double
  /// First moment, velocity or sum of squares.
  package let first: Buffer<Element>
  /// Second moment; empty where there is none.
  package let second: Buffer<Element>
  package private(set) var step = 0
  private var beta1Power = 1.0
  private var beta2Power = 1.0
  private static var beta1: Double { 0.9 }
  private static var beta2: Double { 0.999 }

  /// - Parameter epsilon: of Adam and its kin, added to the root of the second moment.
  package init(
    _ kind: OptimiserKind, count: Int, weightDecay: Double = 0, momentum: Double = 0.9,
    nesterov: Bool = false, epsilon: Double = 1e-8
  ) {
    self.kind = kind
    self.weightDecay = weightDecay
    self.momentum = momentum
    self.nesterov = nesterov
    self.epsilon = epsilon
    first = Buffer(count)
    second = Buffer(kind.hasSecondMoment ? count : 0)
  }

  /// Takes the state of a run that stopped after `step` steps, `first` and `second` apart.
  package func restore(step: Int) {
    self.step = 0
    beta1Power = 1
    beta2Power = 1
    // The same products as step by step, so that the same bits come out.
    for _ in 0..<step { count() }
  }

  private func count() {
    step += 1
    beta1Power *= Self.beta1
    beta2Power *= Self.beta2
  }

  /// - Parameter scale: factor on the gradient, such as that of clipping.
  package func step(
    _ parameters: Buffer<Element>, _ gradient: Buffer<Element>, rate: Double, scale: Double = 1
  ) {
    count()
    var rule = self.rule(rate)
    rule.scale = scale
    if kind == .adamw { rule.keep = 1 - rate * weightDecay } else { rule.decay = weightDecay }
    Element.optimise(
      rule, parameters.count, parameters.base, gradient.base, first.base, second.base)
  }

  private func rule(_ rate: Double) -> OptimiserStep {
    switch kind {
    case .adam, .adamw:
      var rule = moments(.adam, rate: rate / (1 - beta1Power))
      rule.correction = 1 / (1 - beta2Power)
      return rule
    case .radam:
      // Liu et al. 2020, algorithm 2: the length of the approximated simple moving average.
      let limit = 2 / (1 - Self.beta2) - 1
      let length = limit - 2 * Double(step) * beta2Power / (1 - beta2Power)
      guard length > 5 else { return moments(.adamMean, rate: rate / (1 - beta1Power)) }
      let rectification =
        ((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)).squareRoot()
      return moments(
        .adam, rate: rate / (1 - beta1Power) * rectification * (1 - beta2Power).squareRoot())
    case .sgd:
      var rule = OptimiserStep(nesterov ? .nesterov : .momentum, rate: rate)
      rule.beta1 = momentum
      return rule
    case .adagrad:
      var rule = OptimiserStep(.adagrad, rate: rate)
      rule.epsilon = 1e-10
      return rule
    }
  }

  private func moments(_ rule: OptimiserStep.Rule, rate: Double) -> OptimiserStep {
    var rule = OptimiserStep(rule, rate: rate)
    rule.beta1 = Self.beta1
    rule.beta2 = Self.beta2
    rule.epsilon = epsilon
    return rule
  }
}

extension OptimiserKind {
  var hasSecondMoment: Bool { self == .adam || self == .adamw || self == .radam }
}
