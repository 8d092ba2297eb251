// Names: shape letters B, T, F, H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
public import NumericsCore

/// N-HiTS (Challu et al. 2023, arXiv 2201.12886): stacks of blocks that read the window at a rate of their own, and
/// forecast by interpolation between a few knots.
///
/// A block pools what is left of the window, a perceptron of `layers` layers of ReLU units gives knots of a backcast
/// and of a forecast, and both are interpolated linearly. The backcast is subtracted from the window that the next
/// block sees, the forecasts are summed. Stacks go from slow to fast: with the pooling and the distance of knots of
/// the first given, those of the others fall geometrically to 1. Every quantile has knots of its own. Blocks also
/// read which steps are observed, and the other inputs of the last step.
///
/// The last block has no backcast. Weights start uniform within `1 / sqrt(inputs)`, those of the knots of forecasts
/// at a tenth of that, so that a model starts near zero. Dropout acts behind every layer.
public struct NHiTS<Element: Real>: WindowModel {
  package enum Pooling: String, Sendable, CaseIterable { case maximum, mean }

  struct Block: Sendable {
    /// Steps that are pooled, and distances of knots in the window and ahead.
    let rate: Rate
    let first: WindowProjection
    let rest: [Projection]
    let backcast: Projection?
    let forecast: Projection
  }
  package struct Rate: Hashable, Sendable {
    package let pooling: Int
    package let backcast: Int
    package let forecast: Int
  }

  let context: Int
  let outputs: Int
  let horizon: Int
  let pooling: Pooling
  let dropout: Double
  let blocks: [Block]

  /// - Parameter blocksEach: blocks of a stack.
  init(
    inputs: Int, context: Int, horizon: Int, quantiles: Int, hidden: Int, layers: Int, stacks: Int,
    blocksEach: Int = 1, pooling: Pooling = .maximum, dropout: Double,
    layout: inout ParameterLayout
  ) {
    (self.context, self.horizon, self.pooling, self.dropout) = (context, horizon, pooling, dropout)
    outputs = horizon * quantiles
    let rates = Self.rates(context: context, horizon: horizon, stacks: stacks)
    let all = rates.flatMap { Array(repeating: $0, count: blocksEach) }
    blocks = all.enumerated().map { index, rate in
      let name = "model.\(index)"
      let knots = (context + rate.backcast - 1) / rate.backcast
      let ahead = (horizon + rate.forecast - 1) / rate.forecast
      return Block(
        rate: rate,
        first: WindowProjection(
          "\(name).0", steps: 2 * (context / rate.pooling), others: inputs - 2, hidden,
          layout: &layout),
        rest: (1..<max(layers, 1)).map {
          Projection("\(name).\($0)", hidden, hidden, layout: &layout)
        },
        backcast: index == all.count - 1
          ? nil : Projection("\(name).backcast", hidden, knots, layout: &layout),
        forecast: Projection("\(name).forecast", hidden, ahead * quantiles, layout: &layout))
    }
  }

  /// Rates of the stacks: the first pools an eighth of the window, up to 16 steps, and has two knots ahead; the last
  /// is at full rate.
  package static func rates(context: Int, horizon: Int, stacks: Int) -> [Rate] {
    let slowest = Double(min(16, max(1, context / 8)))
    let distance = Double(max(1, horizon / 2))
    return (0..<stacks).map { stack in
      let slowness = stacks > 1 ? Double(stacks - 1 - stack) / Double(stacks - 1) : 0
      func falling(_ from: Double) -> Int { Int(pow(from, slowness).rounded()) }
      return Rate(
        pooling: falling(slowest),
        backcast: min(falling(distance), max(1, context / 2)), forecast: falling(distance))
    }
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    for block in blocks {
      block.first.initialize(parameters, using: &stream)
      for layer in block.rest { layer.initialize(parameters, using: &stream) }
      block.backcast?.initialize(parameters, using: &stream)
      block.forecast.initialize(parameters, using: &stream)
      let weight = block.forecast.weight
      for k in 0..<weight.count { parameters[weight.offset + k] *= 0.1 }
    }
  }

  /// `x` `[T, B]` at a lower rate, `[T / steps, B]`; the oldest steps that fill no pool are left out.
  package static func pooled(_ x: Tensor<Element>, steps: Int, _ pooling: Pooling) -> Tensor<
    Element
  > {
    if steps == 1 { return x }
    let (count, B) = (x.shape[0] / steps, x.shape[1])
    let pools = x.slice(axis: 0, (x.shape[0] - count * steps)..<x.shape[0])
      .reshaped([count, steps, B])
    switch pooling {
    case .mean: return pools.mean(axis: 1)
    case .maximum:
      let parts = (0..<steps).map { pools.slice(axis: 1, $0..<($0 + 1)).reshaped([count, B]) }
      return parts.dropFirst().reduce(parts[0]) { $0.combined(.maximum, with: $1) }
    }
  }

  public func apply(to inputs: Tensor<Element>) -> Tensor<Element> {
    let window = WindowParts(inputs)
    let B = inputs.shape[1]
    var left = window.values
    var forecast: Tensor<Element>?
    for (index, block) in blocks.enumerated() {
      func active(_ x: Tensor<Element>, _ layer: Int) -> Tensor<Element> {
        x.map(.relu).dropout(dropout, purpose: "dropout of block \(index), layer \(layer)")
      }
      let steps = block.rate.pooling
      let read = Tensor.joined(
        [
          Self.pooled(left, steps: steps, pooling), Self.pooled(window.masks, steps: steps, .mean),
        ], axis: 0)
      var h = active(block.first(read, others: window.others), 0)
      for (number, layer) in block.rest.enumerated() { h = active(layer(h), number + 1) }
      if let backcast = block.backcast {
        left = left - backcast.transposed(h).interpolated(to: context)
      }
      let knots = block.forecast.transposed(h)  // [knots Q, B]
      let ahead = knots.shape[0] / (outputs / horizon)
      let part = knots.reshaped([ahead, outputs / horizon * B]).interpolated(to: horizon)
      forecast = forecast.map { $0 + part } ?? part
    }
    return forecast!.reshaped([outputs, B]).exchanged(axis: 0)
  }
}

extension Projection {
  /// `[B, K]` to `[N, B]`.
  fileprivate func transposed<Element: Real>(_ x: Tensor<Element>) -> Tensor<Element> {
    let y = x.graph.parameter(weight).product(x, transposed: true, otherTransposed: true)
    return bias.map { y + x.graph.parameter($0).reshaped([$0.count, 1]) } ?? y
  }
}
