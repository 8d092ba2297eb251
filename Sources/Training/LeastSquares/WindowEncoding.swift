// Names: shape letters T, B, F, D, H, K, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import NumericsCore

/// States of an encoder whose parameters stay as they are, of many windows.
final class WindowEncoding: @unchecked Sendable {  // each thread uses its own executions
  private let network: ForecastNetwork<Float>
  private let parameters: Buffer<Float>
  private let panel: Panel
  private let plan: Plan<Float>
  private let inputs: Tensor<Float>
  private let state: Tensor<Float>
  let width: Int

  /// Windows that are encoded at a time.
  static let block = 128

  /// - Parameter parameters: of the whole network; the encoder's are read.
  init(_ network: ForecastNetwork<Float>, _ parameters: Buffer<Float>, _ panel: Panel) {
    self.network = network
    self.parameters = parameters
    self.panel = panel
    let c = network.configuration
    guard let entry = Registry.entry(c.kind) as? any EncoderArchitecture.Type else {
      preconditionFailure("\(c.kind) has no encoder")
    }
    // The network adds its encoder's parameters first, so they lie where this one looks for them.
    var layout = ParameterLayout()
    let encoder: any WindowEncoder<Float> = entry.makeEncoder(
      c, inputs: c.featureCount, layout: &layout)
    let graph = Graph<Float>()
    inputs = graph.input([c.contextLength, Self.block, c.featureCount])
    state = encoder.encode(inputs)
    graph.keep(state)
    plan = Plan(graph)
    width = encoder.width
  }

  /// The memory of one thread.
  final class Workspace {
    fileprivate let batch: WindowFeatures.Batch<Float>
    fileprivate let execution: Execution<Float>

    fileprivate init(_ encoding: WindowEncoding) {
      batch = WindowFeatures.Batch(WindowEncoding.block, encoding.network.configuration)
      execution = Execution(encoding.plan)
    }
  }

  func makeWorkspace() -> Workspace { Workspace(self) }

  /// Bytes of a thread's memory.
  var workspaceBytes: Int { plan.peakBytes + inputs.shape.count * MemoryLayout<Float>.stride }

  /// Writes states `[rows, D]`, candidates of the linear start `[rows, H, K]` and targets `[rows, H]` of up to
  /// ``block`` windows.
  ///
  /// - Returns: the first window with a number that is infinite, if there is one.
  func encode(
    _ windows: [WindowIndex.Window], _ rows: Range<Int>, _ workspace: Workspace,
    states: UnsafeMutablePointer<Float>, starts: UnsafeMutablePointer<Float>,
    targets: UnsafeMutablePointer<Float>
  ) -> Int? {
    let c = network.configuration
    let (batch, execution) = (workspace.batch, workspace.execution)
    network.fill(batch, windows, rows, of: panel)
    execution.input(inputs).update(from: batch.inputs, count: inputs.shape.count)
    execution.forward(parameters: parameters.base)
    states.update(from: execution.value(state), count: rows.count * width)
    starts.update(from: batch.candidates, count: rows.count * c.horizon * c.skipCount)
    targets.update(from: batch.targets, count: rows.count * c.horizon)
    for row in 0..<rows.count {
      let bad =
        (0..<width).contains { !states[row * width + $0].isFinite }
        || (0..<c.horizon).contains { targets[row * c.horizon + $0].isInfinite }
      if bad { return rows.lowerBound + row }
    }
    return nil
  }
}
