// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// Features, backbone and head as one differentiable model: what a trainer fits.
///
/// Knows neither optimiser nor series. Parameters live in one flat buffer described by `layout`.
public struct ForecastNetwork<Element: Real>: Sendable {
  public let configuration: ForecasterConfiguration
  public let features: WindowFeatures
  public let layout: ParameterLayout
  let backbone: any Backbone<Element>
  let head: QuantileHead<Element>

  /// - Throws: `ForecasterError.badConfiguration`.
  public init(_ configuration: ForecasterConfiguration) throws {
    try configuration.validate()
    self.configuration = configuration
    features = WindowFeatures(configuration)
    var layout = ParameterLayout()
    backbone = Registry.backbone(configuration, layout: &layout)
    head = QuantileHead(width: backbone.width, configuration: configuration, layout: &layout)
    self.layout = layout
  }

  /// Fresh parameters, a function of the seed alone.
  public func initialParameters(seed: UInt64) -> Buffer<Element> {
    let parameters = Buffer<Element>(layout.count)
    var stream = RandomStream(seed: seed, purpose: "initialisation")
    backbone.initialize(parameters, using: &stream)
    head.initialize(parameters, using: &stream)
    return parameters
  }

  /// Scratch memory of one thread.
  public final class Workspace {
    public let batch = WindowFeatures.Batch<Element>()
    public let gradient: Buffer<Element>
    /// Quantiles `[B, H, Q]` after `predict`, scaled.
    public let quantiles = Buffer<Element>(0)
    let raw = Buffer<Element>(0)
    let dOutputs = Buffer<Element>(0)
    let backbone: BackboneWorkspace<Element>

    init(gradient: Int, backbone: BackboneWorkspace<Element>) {
      self.gradient = Buffer(gradient)
      self.backbone = backbone
    }
  }

  /// - Parameter training: false leaves out the room for a gradient.
  public func makeWorkspace(training: Bool) -> Workspace {
    Workspace(gradient: training ? layout.count : 0, backbone: backbone.makeWorkspace())
  }

  /// Quantiles of the first `count` rows of the workspace's batch, which was prepared for exactly `count`.
  public func predict(_ count: Int, parameters: Buffer<Element>, _ workspace: Workspace) {
    var none: RandomStream?
    _ = forward(count, parameters, workspace, &none)
  }

  /// Returns the state that the head reads.
  private func forward(
    _ count: Int, _ parameters: Buffer<Element>, _ workspace: Workspace,
    _ dropout: inout RandomStream?
  ) -> UnsafePointer<Element> {
    precondition(workspace.batch.capacity == count)
    let T = configuration.contextLength
    workspace.raw.reserve(count * head.outputs)
    workspace.quantiles.reserve(count * head.outputs)
    let outputs = backbone.forward(
      time: T, batch: count, inputs: workspace.batch.inputs.base, parameters: parameters.base,
      workspace: workspace.backbone, dropout: &dropout)
    let state = outputs + (T - 1) * count * backbone.width
    head.forward(
      batch: count, state: state, starts: workspace.batch.candidates.base,
      parameters: parameters.base, raw: workspace.raw.base,
      quantiles: workspace.quantiles.base)
    return state
  }

  /// Weighted loss of the batch; its gradient is in `workspace.gradient` afterwards.
  ///
  /// - Parameter weightOfRow: 1 / (rows of the whole batch over all threads).
  public func lossAndGradient(
    _ count: Int, weightOfRow: Element, parameters: Buffer<Element>, _ workspace: Workspace,
    dropout: inout RandomStream?
  ) -> Double {
    let T = configuration.contextLength
    let D = backbone.width
    let state = forward(count, parameters, workspace, &dropout)
    workspace.gradient.zero()
    workspace.dOutputs.reserve(T * count * D)
    workspace.dOutputs.zero((T - 1) * count * D)
    let loss = head.backward(
      batch: count, state: state, starts: workspace.batch.candidates.base,
      targets: workspace.batch.targets.base, weightOfRow: weightOfRow,
      parameters: parameters.base, raw: workspace.raw.base, quantiles: workspace.quantiles.base,
      dState: workspace.dOutputs.base + (T - 1) * count * D, gradient: workspace.gradient.base)
    backbone.backward(
      time: T, batch: count, inputs: workspace.batch.inputs.base, parameters: parameters.base,
      dOutputs: workspace.dOutputs.base, gradient: workspace.gradient.base,
      workspace: workspace.backbone)
    return loss
  }

  /// Sum over rows and number of rows with a target of the mean quantile loss, without a gradient.
  public func loss(_ count: Int, parameters: Buffer<Element>, _ workspace: Workspace) -> (
    sum: Double, rows: Int
  ) {
    predict(count, parameters: parameters, workspace)
    let H = configuration.horizon
    let levels = configuration.quantiles
    var sum = 0.0
    var rows = 0
    for b in 0..<count {
      var total = 0.0
      var observed = 0
      for h in 0..<H {
        let target = workspace.batch.targets[b * H + h]
        if target.isNaN { continue }
        observed += 1
        for (k, level) in levels.enumerated() {
          let error = Double(target - workspace.quantiles[(b * H + h) * levels.count + k])
          total += max(level * error, (level - 1) * error)
        }
      }
      if observed > 0 {
        sum += total / Double(observed * levels.count)
        rows += 1
      }
    }
    return (sum, rows)
  }
}
