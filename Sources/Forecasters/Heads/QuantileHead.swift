// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
public import NumericsCore

/// All quantiles of all steps at once from one state, never crossing.
///
/// A linear map gives `[H, Q]` raw numbers `r`. The quantile nearest the median is the linear start plus its
/// own `r`; going outwards each next one lies `softplus(r)` further, so that the order holds by
/// construction. The linear start mixes the candidates of `WindowFeatures` with softmax weights of its own
/// for every step ahead (the idea of NLinear and of xLSTM-Mixer's shared linear forecast).
///
/// Loss: mean quantile loss (Koenker & Bassett 1978) over observed targets and levels, without the factor 2.
public struct QuantileHead<Element: Real>: Sendable {
  let width: Int
  let horizon: Int
  let levels: [Element]
  let candidates: Int
  let median: Int
  let weight: Int  // [D, H Q]
  let bias: Int  // [H Q]
  let mix: Int  // [H, K]

  public init(
    width: Int, configuration: ForecasterConfiguration, layout: inout ParameterLayout
  ) {
    self.width = width
    horizon = configuration.horizon
    levels = configuration.quantiles.map { Element($0) }
    candidates = configuration.skipCount
    let distances = configuration.quantiles.map { abs($0 - 0.5) }
    median = distances.indices.min { distances[$0] < distances[$1] }!
    let outputs = horizon * levels.count
    weight = layout.add("head.weight", [width, outputs])
    bias = layout.add("head.bias", [outputs])
    mix = layout.add("head.mix", [horizon, candidates])
  }

  public var outputs: Int { horizon * levels.count }

  /// Starts as the linear start with intervals about as wide as a window's standard deviation.
  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    for k in 0..<(width * outputs) {
      parameters[weight + k] = Element(stream.normal() * 0.1 / Double(width).squareRoot())
    }
    for h in 0..<horizon {
      for q in levels.indices where q != median {
        parameters[bias + h * levels.count + q] = -1.5  // softplus: 0.2
      }
      // Seasonal candidates start with more weight than the last value.
      for k in 1..<max(candidates, 1) { parameters[mix + h * candidates + k] = 1 }
    }
  }

  /// Writes quantiles `[B, H, Q]`, scaled, into `quantiles` (which also holds the raw numbers before).
  public func forward(
    batch B: Int, state: UnsafePointer<Element>, starts: UnsafePointer<Element>,
    parameters: UnsafePointer<Element>, raw: UnsafeMutablePointer<Element>,
    quantiles: UnsafeMutablePointer<Element>
  ) {
    let Q = levels.count
    Element.broadcast(rows: B, width: outputs, parameters + bias, to: raw)
    Element.multiply(
      B, outputs, width, alpha: 1, state, .plain, lda: width, parameters + weight, .plain,
      ldb: outputs, beta: 1, raw, ldc: outputs)
    withUnsafeTemporaryAllocation(of: Element.self, capacity: candidates) { weights in
      for h in 0..<horizon {
        softmax(parameters + mix + h * candidates, weights.baseAddress!)
        for b in 0..<B {
          let r = raw + (b * horizon + h) * Q
          let q = quantiles + (b * horizon + h) * Q
          let candidate = starts + (b * horizon + h) * candidates
          var start: Element = 0
          for k in 0..<candidates { start += weights[k] * candidate[k] }
          q[median] = start + r[median]
          for k in stride(from: median + 1, to: Q, by: 1) { q[k] = q[k - 1] + Self.softplus(r[k]) }
          for k in stride(from: median - 1, through: 0, by: -1) {
            q[k] = q[k + 1] - Self.softplus(r[k])
          }
        }
      }
    }
  }

  /// Loss of a batch and its gradient.
  ///
  /// - Parameters:
  ///   - weightOfRow: what each row's mean loss is multiplied by (1 / whole batch).
  ///   - quantiles: from `forward`; destroyed.
  ///   - dState: gradient of the state `[B, D]`, overwritten.
  /// - Returns: the sum over rows of weighted losses.
  public func backward(
    batch B: Int, state: UnsafePointer<Element>, starts: UnsafePointer<Element>,
    targets: UnsafePointer<Element>, weightOfRow: Element, parameters: UnsafePointer<Element>,
    raw: UnsafeMutablePointer<Element>, quantiles: UnsafeMutablePointer<Element>,
    dState: UnsafeMutablePointer<Element>, gradient: UnsafeMutablePointer<Element>
  ) -> Double {
    let Q = levels.count
    var total = 0.0
    for b in 0..<B {
      var observed = 0
      for h in 0..<horizon where !targets[b * horizon + h].isNaN { observed += 1 }
      let weight = observed == 0 ? 0 : weightOfRow / Element(observed * Q)
      for h in 0..<horizon {
        let q = quantiles + (b * horizon + h) * Q
        let target = targets[b * horizon + h]
        if target.isNaN {
          for k in 0..<Q { q[k] = 0 }
          continue
        }
        for k in 0..<Q {
          let error = target - q[k]
          total += Double(weight * (error >= 0 ? levels[k] * error : (levels[k] - 1) * error))
          q[k] = weight * (error >= 0 ? -levels[k] : 1 - levels[k])  // now the gradient
        }
      }
    }
    // Through the outward sums, the softplus and the linear start.
    withUnsafeTemporaryAllocation(of: Element.self, capacity: 2 * candidates) { scratch in
      let weights = scratch.baseAddress!
      let dWeights = weights + candidates
      for h in 0..<horizon {
        softmax(parameters + mix + h * candidates, weights)
        dWeights.update(repeating: 0, count: candidates)
        for b in 0..<B {
          let dq = quantiles + (b * horizon + h) * Q
          let r = raw + (b * horizon + h) * Q
          var sum: Element = 0
          var all: Element = 0
          for k in stride(from: Q - 1, to: median, by: -1) {
            sum += dq[k]
            all += dq[k]
            r[k] = sum * Self.sigmoid(r[k])
          }
          sum = 0
          for k in 0..<median {
            sum += dq[k]
            all += dq[k]
            r[k] = -sum * Self.sigmoid(r[k])
          }
          all += dq[median]
          r[median] = all
          let candidate = starts + (b * horizon + h) * candidates
          for k in 0..<candidates { dWeights[k] += all * candidate[k] }
        }
        var mean: Element = 0
        for k in 0..<candidates { mean += weights[k] * dWeights[k] }
        for k in 0..<candidates {
          gradient[mix + h * candidates + k] += weights[k] * (dWeights[k] - mean)
        }
      }
    }
    Element.addColumnSums(rows: B, width: outputs, raw, to: gradient + bias)
    Element.multiply(
      width, outputs, B, alpha: 1, state, .transposed, lda: width, raw, .plain, ldb: outputs,
      beta: 1, gradient + weight, ldc: outputs)
    Element.multiply(
      B, width, outputs, alpha: 1, raw, .plain, lda: outputs, parameters + weight, .transposed,
      ldb: outputs, beta: 0, dState, ldc: width)
    return total
  }

  private func softmax(_ logits: UnsafePointer<Element>, _ out: UnsafeMutablePointer<Element>) {
    var largest = logits[0]
    for k in 1..<max(candidates, 1) { largest = max(largest, logits[k]) }
    var sum: Element = 0
    for k in 0..<candidates {
      out[k] = Element(Foundation.exp(Double(logits[k] - largest)))
      sum += out[k]
    }
    for k in 0..<candidates { out[k] /= sum }
  }

  @inline(__always) static func softplus(_ x: Element) -> Element {
    let x = Double(x)
    return Element(max(x, 0) + log1p(Foundation.exp(-abs(x))))
  }

  @inline(__always) static func sigmoid(_ x: Element) -> Element {
    Element(1 / (1 + Foundation.exp(-Double(x))))
  }
}
