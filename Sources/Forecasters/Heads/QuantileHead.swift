// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// All quantiles of all steps at once from a model's raw numbers, never crossing.
///
/// Raw numbers `[H, Q]` and a bias add up to `r`. The quantile nearest the median is the linear start plus its
/// own `r`; going outwards each next one lies `softplus(r)` further, so that the order holds by
/// construction. The linear start mixes the candidates of `WindowFeatures` with softmax weights of its own
/// for every step ahead (the idea of NLinear and of xLSTM-Mixer's shared linear forecast).
public struct QuantileHead<Element: Real>: Sendable {
  let horizon: Int
  let levels: [Double]
  let candidates: Int
  let median: Int
  let bias: ParameterLayout.Tensor  // [H Q]
  let mix: ParameterLayout.Tensor  // [H, K]

  public init(_ configuration: ForecasterConfiguration, layout: inout ParameterLayout) {
    horizon = configuration.horizon
    levels = configuration.quantiles
    candidates = configuration.skipCount
    let distances = configuration.quantiles.map { abs($0 - 0.5) }
    median = distances.indices.min { distances[$0] < distances[$1] }!
    let outputs = horizon * levels.count
    bias = layout.add("head.bias", [outputs])
    mix = layout.add("head.mix", [horizon, candidates])
  }

  /// Starts as the linear start with intervals about as wide as a window's standard deviation.
  public func initialize(_ parameters: Buffer<Element>) {
    for h in 0..<horizon {
      for q in levels.indices where q != median {
        parameters[bias.offset + h * levels.count + q] = -1.5  // softplus: 0.2
      }
      // Seasonal candidates start with more weight than the last value.
      for k in 1..<max(candidates, 1) { parameters[mix.offset + h * candidates + k] = 1 }
    }
  }

  /// Quantiles `[B, H, Q]`, scaled, of raw numbers `[B, H Q]` with the candidates `starts` `[B, H, K]`.
  public func quantiles(
    of raw: Tensor<Element>, starts: Tensor<Element>
  ) -> Tensor<Element> {
    let graph = raw.graph
    return ordered(
      raw + graph.parameter(bias), starts: starts, shares: graph.parameter(mix).softmax())
  }

  /// The same for patches of `P` steps that begin a number of patches ahead of what is known.
  ///
  /// - Parameters:
  ///   - raw: `[B, n, P Q]`.
  ///   - starts: `[B, n P, K]`.
  ///   - ahead: `[B, n]`; 0 for the patch that follows what is known.
  ///   - patches: what `ahead` is below. Steps beyond the horizon have no bias, and equal shares.
  /// - Returns: `[B, n P, Q]`.
  func quantiles(
    of raw: Tensor<Element>, starts: Tensor<Element>, ahead: Tensor<Element>, patches: Int
  ) -> Tensor<Element> {
    let graph = raw.graph
    let (B, n) = (raw.shape[0], raw.shape[1])
    let P = raw.shape[2] / levels.count
    func table(_ rows: Tensor<Element>, _ width: Int) -> Tensor<Element> {
      let wanted = patches * P
      var rows = rows.reshaped([horizon, width])
      if wanted > horizon {
        let missing = wanted - horizon
        let rest = graph.constant(
          [Element](repeating: 0, count: missing * width), [missing, width])
        rows = Tensor.joined([rows, rest], axis: 0)
      } else {
        rows = rows.slice(axis: 0, 0..<wanted)
      }
      return rows.reshaped([patches, P * width]).rows(ahead)
    }
    let shares = table(graph.parameter(mix), candidates).reshaped([B, n * P, candidates]).softmax()
    let sums = raw + table(graph.parameter(bias), levels.count)
    return ordered(sums.reshaped([B, n * P * levels.count]), starts: starts, shares: shares)
  }

  /// - Parameters:
  ///   - raw: `[B, E Q]`.
  ///   - starts: `[B, E, K]`, and their shares `[B, E, K]` or `[E, K]`.
  private func ordered(
    _ raw: Tensor<Element>, starts: Tensor<Element>, shares: Tensor<Element>
  ) -> Tensor<Element> {
    let (B, steps) = (starts.shape[0], starts.shape[1])
    let operation = OrderedQuantiles<Element>(
      rows: B * steps, levels: levels.count, median: median, outputs: [[B, steps, levels.count]])
    return raw.graph.apply(operation, to: [raw, (starts * shares).sum(axis: 2)])[0]
  }
}

/// Quantiles from their distances: the median at `start + r`, the others outwards by `softplus(r)` each.
///
/// Inputs: raw numbers `[rows, Q]`, starts `[rows]`.
struct OrderedQuantiles<Element: Real>: Operation {
  let rows: Int
  let levels: Int
  let median: Int
  let outputs: [Shape]

  /// Softplus of the raw numbers forward, their slopes backward.
  var scratchCount: Int { rows * levels }
  func backwardReads(input: Int) -> Bool { input == 0 }

  func forward(_ context: OperationContext<Element>) {
    let (raw, starts) = (context.input(0), context.input(1))
    let (quantiles, widths) = (context.output(), context.scratch)
    Element.unary(.softplus, rows * levels, raw, widths)
    for row in 0..<rows {
      let q = quantiles + row * levels
      let w = widths + row * levels
      q[median] = starts[row] + raw[row * levels + median]
      for k in stride(from: median + 1, to: levels, by: 1) { q[k] = q[k - 1] + w[k] }
      for k in stride(from: median - 1, through: 0, by: -1) { q[k] = q[k + 1] - w[k] }
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dq = context.outputGradient() else { return }
    let slopes = context.scratch
    Element.unary(.sigmoid, rows * levels, context.input(0), slopes)
    let dRaw = context.inputGradient(0)
    let dStarts = context.inputGradient(1)
    for row in 0..<rows {
      let d = dq + row * levels
      let s = slopes + row * levels
      var above: Element = 0
      for k in stride(from: levels - 1, to: median, by: -1) {
        above += d[k]
        s[k] *= above
      }
      var below: Element = 0
      for k in 0..<median {
        below += d[k]
        s[k] *= -below
      }
      s[median] = above + below + d[median]
      if let dStarts {
        dStarts.base[row] = (dStarts.adds ? dStarts.base[row] : 0) + s[median]
      }
    }
    guard let dRaw else { return }
    for k in 0..<(rows * levels) {
      dRaw.base[k] = (dRaw.adds ? dRaw.base[k] : 0) + slopes[k]
    }
  }
}

/// The sum over rows of their mean quantile loss (Koenker & Bassett 1978), without the factor 2; what is NaN
/// among the targets does not count.
///
/// Inputs: quantiles `[B, H, Q]`, targets `[B, H]`.
struct QuantileLoss<Element: Real>: Operation {
  let rows: Int
  let horizon: Int
  let levels: [Element]

  var outputs: [Shape] { [[]] }

  private func weight(_ targets: UnsafePointer<Element>) -> Element {
    var observed = 0
    for h in 0..<horizon where !targets[h].isNaN { observed += 1 }
    return observed == 0 ? 0 : 1 / Element(observed * levels.count)
  }

  func forward(_ context: OperationContext<Element>) {
    let (quantiles, targets) = (context.input(0), context.input(1))
    var total = 0.0
    for row in 0..<rows {
      let weight = weight(targets + row * horizon)
      for h in 0..<horizon {
        let target = targets[row * horizon + h]
        if target.isNaN { continue }
        let q = quantiles + (row * horizon + h) * levels.count
        var sum: Element = 0
        for k in levels.indices {
          let error = target - q[k]
          sum += error >= 0 ? levels[k] * error : (levels[k] - 1) * error
        }
        total += Double(weight * sum)
      }
    }
    context.output()[0] = Element(total)
  }

  func backward(_ context: OperationContext<Element>) {
    guard let gradient = context.inputGradient(0), let dLoss = context.outputGradient() else {
      return
    }
    let (quantiles, targets) = (context.input(0), context.input(1))
    let d = gradient.cleared(rows * horizon * levels.count)
    for row in 0..<rows {
      let weight = weight(targets + row * horizon) * dLoss[0]
      for h in 0..<horizon {
        let target = targets[row * horizon + h]
        if target.isNaN { continue }
        let at = (row * horizon + h) * levels.count
        for k in levels.indices {
          d[at + k] += weight * (target >= quantiles[at + k] ? -levels[k] : 1 - levels[k])
        }
      }
    }
  }
}
