// Names: shape letters B, D, F, H, K, P, Q, T; n for patches.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// TiRex (Auer et al. 2025) as a model of the user's own series: values and mask of the window in patches, a stack of
/// sLSTM blocks, and the steps ahead as patches that are missing.
///
/// Training hides runs of whole patches (contiguous patch masking), and the patch after every patch of the window
/// is a target, so that forecasts of several patches are trained and not extrapolated. Every forecast starts from
/// the candidates that were visible to it, as the forecast of the window does from its own: the deviation from the
/// paper, whose network says values, where ours says their distance from the linear start.
struct TiRexModel<Element: Real>: WindowModel {
  let network: TiRexNetwork<Element>
  let configuration: ForecasterConfiguration
  let inputs: Int
  /// Steps of a patch.
  let patch: Int
  /// Patches of the window, and those ahead.
  let past: Int
  let ahead: Int

  private var levels: Int { configuration.quantiles.count }
  /// Steps before the window, which are missing, that its first patch is filled up with.
  private var padding: Int { past * patch - configuration.contextLength }

  init(
    _ configuration: ForecasterConfiguration, inputs: Int, heads: Int,
    layout: inout ParameterLayout
  ) {
    self.configuration = configuration
    self.inputs = inputs
    let (T, H) = (configuration.contextLength, configuration.horizon)
    // A short window has eight patches, not one.
    patch = max(1, min(configuration.integer("patch"), T / 8))
    past = (T + patch - 1) / patch
    ahead = (H + patch - 1) / patch
    let D = configuration.hidden
    network = TiRexNetwork(
      TiRexSize(
        patch: patch, width: D, heads: heads, blocks: configuration.layers,
        feedForward: Int((configuration.number("projection") * Double(D) / 8).rounded(.up)) * 8,
        ends: 4 * D, quantiles: configuration.quantiles.count), layout: &layout)
  }

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    network.initialize(parameters, using: &stream)
  }

  /// Values and masks `[n, B, 2 P]` of the window's patches.
  private func patches(of inputs: Tensor<Element>) -> Tensor<Element> {
    let B = inputs.shape[1]
    var steps = inputs.slice(axis: 2, 0..<2)
    if padding > 0 {
      let missing = inputs.graph.constant(
        [Element](repeating: 0, count: padding * B * 2), [padding, B, 2])
      steps = Tensor.joined([missing, steps], axis: 0)
    }
    return steps.reshaped([past, patch, B, 2]).exchanged(axis: 1).exchanged(axis: 2)
      .reshaped([past, B, 2 * patch])
  }

  private func withMissing(_ patches: Tensor<Element>) -> Tensor<Element> {
    guard ahead > 1 else { return patches }
    let shape: Shape = [ahead - 1, patches.shape[1], 2 * patch]
    let missing = patches.graph.constant([Element](repeating: 0, count: shape.count), shape)
    return Tensor.joined([patches, missing], axis: 0)
  }

  /// `[B, H Q]` of the results `[ahead, B, P Q]` of the last patches.
  private func forecast(_ results: Tensor<Element>) -> Tensor<Element> {
    let B = results.shape[1]
    return results.exchanged(axis: 0).reshaped([B, ahead * patch * levels])
      .slice(axis: 1, 0..<(configuration.horizon * levels))
  }

  func apply(to inputs: Tensor<Element>) -> Tensor<Element> {
    let results = network.apply(
      to: withMissing(patches(of: inputs)), last: ahead, dropout: configuration.dropout)
    return forecast(results)
  }

  func applyForTraining(
    to inputs: Tensor<Element>, head: QuantileHead<Element>, recompute: Bool
  ) -> TrainingForecast<Element> {
    let B = inputs.shape[1]
    let n = past - 1
    guard n > 0 else {
      return TrainingForecast(raw: recompute ? applyRecomputed(to: inputs) : apply(to: inputs))
    }
    let graph = inputs.graph
    let mask = graph.apply(
      PatchMask<Element>(patches: past, batch: B, share: configuration.number("masking")), to: [])[
        0]
    let origins = graph.apply(
      PatchOrigins<Element>(
        steps: configuration.contextLength, batch: B, features: self.inputs, patch: patch,
        patches: past, ahead: ahead, horizon: configuration.horizon,
        seasons: configuration.usableSeasons), to: [inputs, mask])
    let visible = withMissing(patches(of: inputs) * mask.reshaped([past, B, 1]))
    let dropout = configuration.dropout
    let results =
      recompute
      ? graph.recomputed([visible]) { _, copies in
        [network.apply(to: copies[0], dropout: dropout)]
      }[0]
      : network.apply(to: visible, dropout: dropout)
    let inner = head.quantiles(
      of: results.slice(axis: 0, 0..<n).exchanged(axis: 0), starts: origins[1], ahead: origins[2],
      patches: ahead)
    return TrainingForecast(
      raw: forecast(results.slice(axis: 0, n..<(n + ahead))), inner: (inner, origins[0]))
  }
}

/// Contiguous patch masking (Auer et al. 2025, section 3.2): whole patches of a window are hidden in runs.
///
/// For each window a share, uniform up to `share`, and a length of the runs, uniform from 1 to 5, are drawn; at
/// every patch that is not yet hidden a run begins with the probability of the share. The last patch stays
/// visible: what follows it is missing anyway. Outside of training all are visible.
package struct PatchMask<Element: Real>: Operation {
  let patches: Int
  let batch: Int
  let share: Double

  package init(patches: Int, batch: Int, share: Double) {
    self.patches = patches
    self.batch = batch
    self.share = share
  }

  /// 1 where visible, `[n, B]`.
  package var outputs: [Shape] { [[patches, batch]] }

  static var longestRun: Int { 5 }

  package func forward(_ context: OperationContext<Element>) {
    let mask = context.output()
    mask.update(repeating: 1, count: patches * batch)
    guard context.isTraining, share > 0 else { return }
    var stream = context.stream("patch masking")
    for row in 0..<batch {
      let probability = stream.uniform() * share
      let run = 1 + stream.index(below: Self.longestRun)
      var patch = 0
      while patch < patches - 1 {
        guard stream.uniform() < probability else {
          patch += 1
          continue
        }
        for hidden in patch..<min(patch + run, patches - 1) { mask[hidden * batch + row] = 0 }
        patch += run
      }
    }
  }

  package func backward(_ context: OperationContext<Element>) {}
}

/// The patches of a window as targets of what was visible before them.
///
/// Inputs: windows `[T, B, F]`, value and mask first; which patches are visible `[n, B]`. Results, for the patch
/// after each of the first `n - 1`: targets `[B, (n - 1) P]`, NaN where nothing was observed or visible before,
/// or where no forecast reaches so far ahead; candidates of the linear start `[B, (n - 1) P, K]`; how many
/// patches ahead of the last visible one, `[B, n - 1]`. Phases are those of the grid: a change of the clock
/// within a window is not followed.
package struct PatchOrigins<Element: Real>: Operation {
  let steps: Int
  let batch: Int
  let features: Int
  let patch: Int
  let patches: Int
  let ahead: Int
  let horizon: Int
  let seasons: [Int]

  package init(
    steps: Int, batch: Int, features: Int, patch: Int, patches: Int, ahead: Int, horizon: Int,
    seasons: [Int]
  ) {
    self.steps = steps
    self.batch = batch
    self.features = features
    self.patch = patch
    self.patches = patches
    self.ahead = ahead
    self.horizon = horizon
    self.seasons = seasons
  }

  private var candidates: Int { 1 + 2 * seasons.count }
  private var rows: Int { (patches - 1) * patch }
  package var outputs: [Shape] {
    [[batch, rows], [batch, rows, candidates], [batch, patches - 1]]
  }

  package func forward(_ context: OperationContext<Element>) {
    let (x, mask) = (context.input(0), context.input(1))
    let (targets, starts, distances) = (context.output(0), context.output(1), context.output(2))
    let padding = patches * patch - steps
    for row in 0..<batch {
      func observed(_ position: Int) -> Double? {
        let at = x + (position * batch + row) * features
        return at[1] != 0 ? Double(at[0]) : nil
      }
      /// What had been seen when the patch after `known` began.
      var known = -1
      var any = false
      for index in 0..<(patches - 1) {
        if mask[index * batch + row] != 0 {
          known = index
          for position in max(0, index * patch - padding)..<((index + 1) * patch - padding) {
            any = any || observed(position) != nil
          }
        }
        let distance = known < 0 ? 0 : index - known
        let isForecast = any && distance < ahead
        distances[row * (patches - 1) + index] = Element(isForecast ? distance : 0)
        let first = row * rows + index * patch
        let from = starts + first * candidates
        guard isForecast else {
          for step in 0..<patch { targets[first + step] = .nan }
          from.clear(patch * candidates)
          continue
        }
        let end = (known + 1) * patch - padding
        for step in 0..<patch {
          let isWithin = distance * patch + step < horizon
          let value = isWithin ? observed(end + distance * patch + step) : nil
          targets[first + step] = value.map { Element($0) } ?? .nan
        }
        func visible(_ position: Int) -> Double? {
          guard position >= 0, position < end,
            mask[(position + padding) / patch * batch + row] != 0
          else { return nil }
          return observed(position)
        }
        WindowFeatures.fillCandidates(
          from, steps: (distance * patch)..<((distance + 1) * patch), end: end, from: 0,
          usable: seasons, lag: { $1 * $2 }, visible)
      }
    }
  }

  package func backward(_ context: OperationContext<Element>) {}
}

/// TiRex, trained on the panel.
public enum TiRexArchitecture: NetworkArchitecture {
  public static let kind = "tirex"
  public static let help =
    "TiRex: sLSTM blocks over patches of the window, trained with hidden patches for long horizons."
  public static let reference = "auer2025tirex"
  public static let time = "T D² / patch"
  public static let memory = "4 D"
  public static let options: [ModelOption] = [
    .integer("patch", 1...1024, standard: 32, "steps of a patch; at most an eighth of the context"),
    HeadOptions.heads,
    XLSTMOptions.projection(8.0 / 3, "width of the feed-forward network over hidden"),
    .number(
      "masking", 0...0.9, standard: 0.25, "largest share of patches at which training hides a run"),
  ]

  public static func validate(_ configuration: ForecasterConfiguration) throws {
    try HeadOptions.validate(configuration)
  }

  public static func makeModel<Element: Real>(
    _ configuration: ForecasterConfiguration, inputs: Int, layout: inout ParameterLayout
  ) -> any WindowModel<Element> {
    TiRexModel<Element>(
      configuration, inputs: inputs, heads: HeadOptions.heads(configuration), layout: &layout)
  }
}
