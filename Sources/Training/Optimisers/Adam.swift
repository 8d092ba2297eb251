import Foundation
import NumericsCore

/// Adam (Kingma & Ba 2015) on one flat buffer, with the gradient's scale folded into the pass.
final class Adam {
  private let first: Buffer<Float>
  private let second: Buffer<Float>
  private var beta1Power = 1.0
  private var beta2Power = 1.0
  private static let beta1 = 0.9
  private static let beta2 = 0.999
  private static let epsilon = 1e-8

  init(count: Int) {
    first = Buffer(count)
    second = Buffer(count)
  }

  /// - Parameter scale: factor on the gradient, such as that of clipping.
  func step(
    _ parameters: Buffer<Float>, _ gradient: Buffer<Float>, rate: Double, scale: Double
  ) {
    beta1Power *= Self.beta1
    beta2Power *= Self.beta2
    Float.adam(
      parameters.count, parameters.base, gradient.base, first.base, second.base,
      scale: scale, beta1: Self.beta1, beta2: Self.beta2, rate: rate / (1 - beta1Power),
      secondCorrection: 1 / (1 - beta2Power), epsilon: Self.epsilon)
  }
}

/// Linear warm-up, then half a cosine to zero (Loshchilov & Hutter 2017, without restarts).
struct WarmupCosine {
  let peak: Double
  let steps: Int

  /// - Parameter step: 0 for the first.
  func rate(_ step: Int) -> Double {
    let warmup = max(1, steps / 20)
    if step < warmup { return peak * Double(step + 1) / Double(warmup) }
    let done = Double(step - warmup) / Double(max(1, steps - warmup))
    return peak * 0.5 * (1 + cos(.pi * done))
  }
}
