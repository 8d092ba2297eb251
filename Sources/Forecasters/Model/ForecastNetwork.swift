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

  /// Whether windows may be longer than the context: whether the model is a causal backbone, whose state goes on.
  public var readsAnyLength: Bool {
    Registry.entry(configuration.kind) is any BackboneArchitecture.Type
  }

  /// Fresh parameters, a function of the seed alone.
  ///
  /// - Parameter wideIntervals: whether intervals start as those of a random walk (``QuantileHead``), for a training
  ///   that hardly learns widths.
  public func initialParameters(seed: UInt64, wideIntervals: Bool = false) -> Buffer<Element> {
    let parameters = Buffer<Element>(layout.count)
    var stream = RandomStream(seed: seed, purpose: "initialisation")
    model.initialize(parameters, using: &stream)
    head.initialize(parameters)
    if wideIntervals {
      head.initializeIntervals(parameters, contextLength: configuration.contextLength)
    }
    return parameters
  }

  /// The network for a number of windows as a graph.
  private struct Model {
    let inputs: Tensor<Element>
    let candidates: Tensor<Element>
    let targets: Tensor<Element>
    let quantiles: Tensor<Element>
    let loss: Tensor<Element>
    private let graph: Graph<Element>

    /// - Parameter isSegmented: whether long windows may be computed by segments, which hides rows from a plan for
    ///   units.
    init(
      _ network: ForecastNetwork, count: Int, contexts: Int = 1, training: Bool, recompute: Bool,
      isSegmented: Bool = true
    ) {
      let c = network.configuration
      precondition(contexts == 1 || network.readsAnyLength, "\(c.kind) reads one context")
      graph = Graph<Element>(segmentBytes: isSegmented ? Graph<Element>.cachedSegmentBytes : nil)
      inputs = graph.input([contexts * c.contextLength, count, c.featureCount])
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
    }

    func plan(training: Bool) -> Plan<Element> { Plan(graph, loss: training ? loss : nil) }

    /// - Parameter single: the model of one window.
    func plan(rows: Int, single: Model) -> Plan<Element>? {
      Plan(graph, loss: loss, rows: rows, single: single.graph)
    }
  }

  /// A model with the memory that it runs in.
  fileprivate final class Program {
    let batch: WindowFeatures.Batch<Element>
    let quantiles: Tensor<Element>
    let loss: Tensor<Element>
    let execution: Execution<Element>

    init(
      _ network: ForecastNetwork, _ key: Workspace.Key, recompute: Bool, arena: Buffer<Element>
    ) {
      let count = key.count
      let training = key.purpose != .prediction
      let model = Model(
        network, count: count, contexts: key.contexts, training: training, recompute: recompute,
        isSegmented: key.purpose != .units)
      (quantiles, loss) = (model.quantiles, model.loss)
      if key.purpose == .units {
        guard let plan = network.unitPlan(model, count: count) else {
          preconditionFailure("windows of \(network.configuration.kind) cannot be told apart")
        }
        execution = Execution(plan, arena: arena)
      } else {
        execution = Execution(model.plan(training: training), arena: arena)
      }
      batch = WindowFeatures.Batch(
        count, contexts: key.contexts, inputs: { [execution] in execution.input(model.inputs) },
        candidates: { [execution] in execution.input(model.candidates) },
        targets: { [execution] in execution.input(model.targets) })
    }
  }

  /// Bytes that a training step on `count` windows of `contexts` contexts takes beside parameters, gradient and
  /// optimiser.
  public func trainingBytes(_ count: Int, contexts: Int = 1, recompute: Bool = false) -> Int {
    Model(self, count: count, contexts: contexts, training: true, recompute: recompute)
      .plan(training: true).peakBytes
  }

  private func unitPlan(_ model: Model, count: Int) -> Plan<Element>? {
    model.plan(
      rows: count,
      single: Model(self, count: 1, training: true, recompute: false, isSegmented: false))
  }

  /// Whether gradients of several units can be computed in one pass (``unitGradients(parameters:_:seed:run:_:)``);
  /// if not, units have to come one by one.
  public var separatesUnits: Bool {
    unitPlan(
      Model(self, count: 2, training: true, recompute: false, isSegmented: false), count: 2) != nil
  }

  /// Bytes of ``unitGradients(parameters:_:seed:run:_:)`` for `units` of `windows` each, as
  /// ``trainingBytes(_:recompute:)``.
  public func unitBytes(_ units: Int, windows: Int = 1) -> Int {
    let count = units * windows
    guard units > 1 else { return trainingBytes(count) }
    let model = Model(self, count: count, training: true, recompute: false, isSegmented: false)
    return unitPlan(model, count: count)?.peakBytes ?? 0
  }

  /// Scratch memory of one thread: grows to the largest number of windows it is prepared for, then stays.
  public final class Workspace {
    fileprivate enum Purpose { case prediction, gradient, units }
    fileprivate struct Key: Hashable {
      let count: Int
      var contexts = 1
      let purpose: Purpose
    }

    private let network: ForecastNetwork
    private let recompute: Bool
    private let arena = Buffer<Element>(0)
    private var programs: [Key: Program] = [:]
    fileprivate var current: Program?
    /// Rows of the units that were prepared last.
    fileprivate var units: [Range<Int>] = []
    public let gradient: Buffer<Element>

    fileprivate init(_ network: ForecastNetwork, training: Bool, recompute: Bool) {
      self.network = network
      self.recompute = recompute
      gradient = Buffer(training ? network.layout.count : 0)
    }

    /// Makes ready for `count` windows, which the caller then fills into the batch.
    ///
    /// - Parameters:
    ///   - training: whether the gradient will be wanted.
    ///   - contexts: how many of them a window reads; the forecast goes on from its end all the same.
    /// - Precondition: one context, or a network that ``ForecastNetwork/readsAnyLength``.
    @discardableResult
    public func prepare(
      _ count: Int, training: Bool, contexts: Int = 1
    ) -> WindowFeatures.Batch<Element> {
      units = []
      return prepare(
        Key(count: count, contexts: contexts, purpose: training ? .gradient : .prediction))
    }

    /// Makes ready for the gradients of `count` units of `windows` windows each, which follow one another in the
    /// batch.
    ///
    /// - Precondition: a single unit, or a network that separates units, in a workspace without recomputation.
    @discardableResult
    public func prepare(units count: Int, windows: Int = 1) -> WindowFeatures.Batch<Element> {
      units = (0..<count).map { $0 * windows..<($0 + 1) * windows }
      return prepare(Key(count: count * windows, purpose: count == 1 ? .gradient : .units))
    }

    private func prepare(_ key: Key) -> WindowFeatures.Batch<Element> {
      let program =
        programs[key] ?? Program(network, key, recompute: recompute, arena: arena)
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

  /// For each of the prepared units the gradient of the mean loss of its windows, one after another in
  /// `workspace.gradient`.
  ///
  /// One forward and one backward pass for all. Gradients never are in memory for more than one unit.
  ///
  /// - Parameters:
  ///   - seed, run: name the random numbers of dropout.
  ///   - body: called with the number of the unit when its gradient is there.
  public func unitGradients(
    parameters: Buffer<Element>, _ workspace: Workspace, seed: UInt64 = 0, run: Int = 0,
    _ body: (Int) throws -> Void
  ) rethrows {
    let (program, units) = (workspace.current!, workspace.units)
    precondition(!units.isEmpty, "no units were prepared")
    let scale = 1 / Element(units[0].count)
    guard units.count > 1 else {
      _ = lossAndGradient(
        weightOfRow: scale, parameters: parameters, workspace, seed: seed, run: run)
      return try body(0)
    }
    program.execution.forward(
      parameters: parameters.base, training: true, seed: seed, run: run)
    let gradient = workspace.gradient
    try program.execution.backward(
      units: units, scale: scale,
      into: UnsafeMutableBufferPointer(start: gradient.base, count: gradient.count), body)
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
