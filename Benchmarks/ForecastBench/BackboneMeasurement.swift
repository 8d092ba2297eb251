import Forecasters
import NumericsCore
import Training

/// Training steps, forward passes or single steps of any registered encoder, to be timed; what
/// the scripts in Benchmarks/peers do for some of them with PyTorch.
///
/// Training is forward, backward from the mean square of all outputs, and Adam; the batch is split over threads.
/// With `window` the loss is that of the state of a window alone, which is what a forecast is made of.
final class BackboneMeasurement {
  enum Mode: String { case train, window, infer, stream }

  /// Steps in one call of ``run()`` where they are single.
  static let streamedSteps = 100

  private let mode: Mode
  private let parts: Parts
  private let parameters: Buffer<Float>
  private let optimiser: Optimiser<Float>
  /// Of a causal backbone.
  private let stepper: (any BackboneStepper<Float>)?
  private let x: Buffer<Float>
  private let y: Buffer<Float>

  private struct Part {
    let execution: Execution<Float>
    let gradient: Buffer<Float>
  }
  private struct Parts: @unchecked Sendable {  // each thread uses its own
    let all: [Part]
  }

  /// - Parameters:
  ///   - recompute: whether training keeps less and computes it again.
  ///   - segmentBytes: of a segment of a long sequence; 0 leaves it whole.
  /// - Precondition: the kind is that of a valid encoder, causal but for `window`, and there are at least as many
  ///   sequences as threads.
  init(
    _ configuration: ForecasterConfiguration, mode: Mode, batch: Int, length: Int, inputs: Int,
    threads: Int, recompute: Bool = false, segmentBytes: Int = Graph<Float>.cachedSegmentBytes
  ) {
    precondition(batch >= threads || mode == .stream)
    self.mode = mode
    let trains = mode == .train || mode == .window
    var layout = ParameterLayout()
    guard let entry = Registry.entry(configuration.kind) as? any EncoderArchitecture.Type else {
      preconditionFailure("\(configuration.kind) is no encoder")
    }
    let encoder: any WindowEncoder<Float> = entry.makeEncoder(
      configuration, inputs: inputs, layout: &layout)
    let backbone = encoder as? any Backbone<Float>
    parameters = Buffer(layout.count)
    var stream = RandomStream(seed: 1, purpose: "initialisation")
    encoder.initialize(parameters, using: &stream)
    optimiser = Optimiser(.adam, count: trains ? layout.count : 0)
    parts = Parts(
      all: (0..<(mode == .stream ? 0 : threads)).map { thread in
        let rows = batch * (thread + 1) / threads - batch * thread / threads
        let graph = Graph<Float>(segmentBytes: segmentBytes > 0 ? segmentBytes : nil)
        let input = graph.input([length, rows, inputs])
        let outputs =
          mode == .window
          ? (recompute ? encoder.encodeRecomputed(input) : encoder.encode(input))
          : (recompute ? backbone!.applyRecomputed(to: input) : backbone!.apply(to: input)).all
        let loss = outputs.map(.square).mean()
        graph.keep(loss)
        graph.keep(outputs)
        let execution = Execution(Plan(graph, loss: trains ? loss : nil))
        for k in 0..<input.shape.count { execution.input(input)[k] = Float(stream.normal()) }
        return Part(execution: execution, gradient: Buffer(trains ? layout.count : 0))
      })
    stepper = backbone?.makeStepper(parameters.base, batch: 1)
    x = Buffer((0..<inputs).map { _ in Float(stream.normal()) })
    y = Buffer(encoder.width)
  }

  /// Bytes beside inputs and parameters, as planned.
  var plannedBytes: Int {
    parts.all.reduce(2 * optimiser.first.count * 4) {
      $0 + $1.execution.plan.peakBytes + $1.gradient.count * 4
    }
  }

  func run() {
    if mode == .stream {
      for _ in 0..<Self.streamedSteps { stepper!.step(x.base, y.base) }
      return
    }
    let (parts, parameters, trains) = (parts, parameters, mode == .train || mode == .window)
    let count = parts.all.count
    parallel(count: count) { thread in
      let part = parts.all[thread]
      part.execution.forward(parameters: parameters.base, training: trains)
      if trains {
        part.gradient.zero()
        part.execution.backward(into: part.gradient.base, scale: 1 / Float(count))
      }
    }
    guard trains else { return }
    let gradient = parts.all[0].gradient
    for part in parts.all.dropFirst() {
      Float.add(gradient.count, part.gradient.base, to: gradient.base)
    }
    optimiser.step(parameters, gradient, rate: 1e-4)
  }
}
