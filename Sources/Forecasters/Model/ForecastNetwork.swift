// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// Features, model and head as one differentiable model: what a trainer fits.
///
/// Knows neither optimiser nor series. Parameters live in one flat buffer described by `layout`.
public struct ForecastNetwork<Element: Real>: Sendable {
  public let configuration: ForecasterConfiguration
  public let features: WindowFeatures
  public let layout: ParameterLayout
  let model: any WindowModel<Element>
  let head: QuantileHead<Element>

  /// - Throws: `ForecasterError.badConfiguration`.
  public init(_ configuration: ForecasterConfiguration) throws {
    try configuration.validate()
    self.configuration = configuration
    features = WindowFeatures(configuration)
    var layout = ParameterLayout()
    guard let entry = Registry.entry(configuration.kind) as? any NetworkArchitecture.Type else {
      throw ForecasterError(
        .badConfiguration, "\(configuration.kind) is no network: it has no weights of its own")
    }
    model = entry.makeModel(configuration, inputs: configuration.featureCount, layout: &layout)
    head = QuantileHead(configuration, layout: &layout)
    self.layout = layout
  }

  /// Fresh parameters, a function of the seed alone.
  public func initialParameters(seed: UInt64) -> Buffer<Element> {
    let parameters = Buffer<Element>(layout.count)
    var stream = RandomStream(seed: seed, purpose: "initialisation")
    model.initialize(parameters, using: &stream)
    head.initialize(parameters)
    return parameters
  }

  /// The network for a number of windows as a graph.
  private struct Model {
    let inputs: Tensor<Element>
    let candidates: Tensor<Element>
    let targets: Tensor<Element>
    let quantiles: Tensor<Element>
    let loss: Tensor<Element>
    let plan: Plan<Element>

    init(_ network: ForecastNetwork, count: Int, training: Bool, recompute: Bool) {
      let c = network.configuration
      let graph = Graph<Element>()
      inputs = graph.input([c.contextLength, count, c.featureCount])
      candidates = graph.input([count, c.horizon, c.skipCount])
      targets = graph.input([count, c.horizon])
      let forecast =
        training
        ? network.model.applyForTraining(to: inputs, head: network.head, recompute: recompute)
        : TrainingForecast(raw: network.model.apply(to: inputs))
      quantiles = network.head.quantiles(of: forecast.raw, starts: candidates)
      graph.keep(quantiles)
      var (all, wanted) = (quantiles, targets)
      if let inner = forecast.inner {
        all = Tensor.joined([inner.quantiles, quantiles], axis: 1)
        wanted = Tensor.joined([inner.targets, targets], axis: 1)
      }
      let operation = QuantileLoss<Element>(
        rows: count, horizon: all.shape[1], levels: c.quantiles.map { Element($0) })
      loss = graph.apply(operation, to: [all, wanted])[0]
      graph.keep(loss)
      plan = Plan(graph, loss: training ? loss : nil)
    }
  }

  /// A model with the memory that it runs in.
  fileprivate final class Program {
    let batch: WindowFeatures.Batch<Element>
    let quantiles: Tensor<Element>
    let loss: Tensor<Element>
    let execution: Execution<Element>

    init(
      _ network: ForecastNetwork, count: Int, training: Bool, recompute: Bool,
      arena: Buffer<Element>
    ) {
      let model = Model(network, count: count, training: training, recompute: recompute)
      (quantiles, loss) = (model.quantiles, model.loss)
      execution = Execution(model.plan, arena: arena)
      batch = WindowFeatures.Batch(
        count, inputs: { [execution] in execution.input(model.inputs) },
        candidates: { [execution] in execution.input(model.candidates) },
        targets: { [execution] in execution.input(model.targets) })
    }
  }

  /// Bytes that a training step on `count` windows takes beside parameters, gradient and optimiser.
  public func trainingBytes(_ count: Int, recompute: Bool = false) -> Int {
    Model(self, count: count, training: true, recompute: recompute).plan.peakBytes
  }

  /// Scratch memory of one thread: grows to the largest number of windows it is prepared for, then stays.
  public final class Workspace {
    private struct Key: Hashable {
      let count: Int
      let training: Bool
    }

    private let network: ForecastNetwork
    private let recompute: Bool
    private let arena = Buffer<Element>(0)
    private var programs: [Key: Program] = [:]
    fileprivate var current: Program?
    public let gradient: Buffer<Element>

    fileprivate init(_ network: ForecastNetwork, training: Bool, recompute: Bool) {
      self.network = network
      self.recompute = recompute
      gradient = Buffer(training ? network.layout.count : 0)
    }

    /// Makes ready for `count` windows, which the caller then fills into the batch.
    ///
    /// - Parameter training: whether the gradient will be wanted.
    @discardableResult
    public func prepare(_ count: Int, training: Bool) -> WindowFeatures.Batch<Element> {
      let key = Key(count: count, training: training)
      let program =
        programs[key]
        ?? Program(network, count: count, training: training, recompute: recompute, arena: arena)
      programs[key] = program
      program.execution.writeConstants()
      current = program
      return program.batch
    }

    /// The windows that were prepared last.
    public var batch: WindowFeatures.Batch<Element> { current!.batch }

    /// Quantiles `[B, H, Q]` of the last run, scaled.
    public var quantiles: UnsafePointer<Element> {
      current!.execution.value(current!.quantiles)
    }

    /// Bytes of the last prepared program, beside parameters and their gradient.
    public var peakBytes: Int { current!.execution.plan.peakBytes }
  }

  /// - Parameters:
  ///   - training: false leaves out the room for a gradient.
  ///   - recompute: whether training keeps less and computes it again.
  public func makeWorkspace(training: Bool, recompute: Bool = false) -> Workspace {
    Workspace(self, training: training, recompute: recompute)
  }

  /// Quantiles of the prepared windows, in `workspace.quantiles`.
  public func predict(parameters: Buffer<Element>, _ workspace: Workspace) {
    workspace.current!.execution.forward(parameters: parameters.base)
  }

  /// Weighted loss of the prepared windows; its gradient is in `workspace.gradient` afterwards.
  ///
  /// - Parameters:
  ///   - weightOfRow: 1 / (rows of the whole batch over all threads).
  ///   - seed, run: name the random numbers of dropout.
  public func lossAndGradient(
    weightOfRow: Element, parameters: Buffer<Element>, _ workspace: Workspace, seed: UInt64 = 0,
    run: Int = 0
  ) -> Double {
    let program = workspace.current!
    workspace.gradient.zero()
    program.execution.forward(
      parameters: parameters.base, training: true, seed: seed, run: run)
    program.execution.backward(into: workspace.gradient.base, scale: weightOfRow)
    return Double(program.execution.value(program.loss)[0] * weightOfRow)
  }

  /// Sum over rows and number of rows with a target of the mean quantile loss, without a gradient.
  public func loss(parameters: Buffer<Element>, _ workspace: Workspace) -> (
    sum: Double, rows: Int
  ) {
    predict(parameters: parameters, workspace)
    let program = workspace.current!
    let H = configuration.horizon
    let targets = program.batch.targets
    let rows = (0..<program.batch.count).count { row in
      (0..<H).contains { !targets[row * H + $0].isNaN }
    }
    return (Double(program.execution.value(program.loss)[0]), rows)
  }
}
