// Names: shape letters T, B, F, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

package import Forecasters
import NumericsCore
import Training

/// A backbone with a linear map of every output, trained on a task at one length and judged at any.
package final class SequenceTaskTrial {
  package let task: SequenceTask
  private let backbone: any Backbone<Float>
  private let readout: ParameterLayout.Tensor
  private let bias: ParameterLayout.Tensor
  private let parameters: Buffer<Float>
  package var parameterCount: Int { parameters.count }

  /// - Parameter configuration: of the backbone; its context length is the length trained at.
  /// - Throws: `ForecasterError.badConfiguration`.
  package init(_ task: SequenceTask, _ configuration: ForecasterConfiguration, seed: UInt64 = 1)
    throws
  {
    try configuration.validate()
    self.task = task
    var layout = ParameterLayout()
    backbone = Registry.backbone(configuration, inputs: task.inputs, layout: &layout)
    readout = layout.add("readout.weight", [backbone.width, task.outputs])
    bias = layout.add("readout.bias", [task.outputs])
    parameters = Buffer(layout.count)
    var stream = RandomStream(seed: seed, purpose: "initialisation")
    backbone.initialize(parameters, using: &stream)
    let size = 1 / Double(backbone.width).squareRoot()
    for k in 0..<readout.count {
      parameters[readout.offset + k] = Float(stream.normal() * size)
    }
    length = configuration.contextLength
  }

  private let length: Int

  /// The graph of `B` sequences of `T` steps.
  private final class Program {
    let x: Tensor<Float>
    let y: Tensor<Float>
    let scored: Tensor<Float>
    let outputs: Tensor<Float>
    let loss: Tensor<Float>
    let execution: Execution<Float>

    init(_ trial: SequenceTaskTrial, _ T: Int, _ B: Int, training: Bool) {
      let task = trial.task
      let graph = Graph<Float>()
      x = graph.input([T, B, task.inputs])
      y = graph.input([T, B, task.outputs])
      scored = graph.input([T, B])
      outputs = trial.backbone.apply(to: x).all.linear(
        graph.parameter(trial.readout), bias: graph.parameter(trial.bias))
      graph.keep(outputs)
      let errors = (outputs - y).map(.square).sum(axis: 2)
      loss = (errors * scored).sum() / scored.sum()
      graph.keep(loss)
      execution = Execution(Plan(graph, loss: training ? loss : nil))
    }
  }

  /// Fits by Adam under a cosine schedule; gradients clipped to norm 1. As a ``Trainer`` does, some steps read
  /// several lengths at once.
  ///
  /// - Parameter longContexts: their share.
  package func train(
    steps: Int, batch: Int = 32, rate: Double = 3e-3, longContexts: Double = 0, seed: UInt64 = 1
  ) {
    let contexts = ContextSchedule(share: longContexts, steps: steps, most: batch, seed: seed)
    var programs: [Int: Program] = [:]
    let gradient = Buffer<Float>(parameters.count)
    let optimiser = Optimiser<Float>(.adam, count: parameters.count)
    let schedule = LearningRateSchedule(.cosine, peak: rate, steps: steps, warmup: steps / 20)
    let shaping = GradientShaping(clippingNorm: 1, seed: seed)
    var stream = RandomStream(seed: seed, purpose: "task")
    for step in 0..<steps {
      let count = contexts.contexts(at: step)
      let (T, B) = (count * length, batch / count)
      let program = programs[count] ?? Program(self, T, B, training: true)
      programs[count] = program
      draw(program, T, B, &stream)
      gradient.zero()
      program.execution.forward(
        parameters: parameters.base, training: true, seed: seed, run: step)
      program.execution.backward(into: gradient.base)
      guard let scale = shaping.apply(to: gradient, step: step) else { return }
      optimiser.step(parameters, gradient, rate: schedule.rate(step), scale: scale)
    }
  }

  private func draw(_ program: Program, _ T: Int, _ B: Int, _ stream: inout RandomStream) {
    let execution = program.execution
    execution.writeConstants()
    task.draw(
      steps: T, batch: B, from: &stream, execution.input(program.x), execution.input(program.y),
      execution.input(program.scored))
  }

  /// Share of right answers, or mean squared error, on fresh sequences of `T` steps.
  ///
  /// - Parameter streaming: whether they are read one step at a time, as a stream is.
  package func score(
    steps T: Int, sequences: Int = 256, streaming: Bool = false, seed: UInt64 = 99
  ) -> Double {
    let B = min(sequences, 32)
    var stream = RandomStream(seed: seed, purpose: "judgement")
    var judgement = Judgement(task: task)
    let program = streaming ? nil : Program(self, T, B, training: false)
    for _ in 0..<(sequences / B) {
      if let program {
        draw(program, T, B, &stream)
        program.execution.forward(parameters: parameters.base)
        judgement.add(
          rows: T * B, program.execution.value(program.outputs), program.execution.input(program.y),
          program.execution.input(program.scored))
      } else {
        let (x, y) = (Buffer<Float>(T * B * task.inputs), Buffer<Float>(T * B * task.outputs))
        let scored = Buffer<Float>(T * B)
        task.draw(steps: T, batch: B, from: &stream, x.base, y.base, scored.base)
        let outputs = streamed(x, T, B)
        judgement.add(rows: T * B, outputs.base, y.base, scored.base)
      }
    }
    return judgement.score
  }

  /// Outputs `[T, B, K]` of inputs `[T, B, F]`, a step at a time.
  private func streamed(_ x: Buffer<Float>, _ T: Int, _ B: Int) -> Buffer<Float> {
    let (F, K, D) = (task.inputs, task.outputs, backbone.width)
    let stepper = backbone.makeStepper(parameters.base, batch: B)
    let (state, outputs) = (Buffer<Float>(B * D), Buffer<Float>(T * B * K))
    for t in 0..<T {
      stepper.step(x.base + t * B * F, state.base)
      for b in 0..<B {
        for k in 0..<K {
          outputs[(t * B + b) * K + k] = (0..<D).reduce(parameters[bias.offset + k]) {
            $0 + state[b * D + $1] * parameters[readout.offset + $1 * K + k]
          }
        }
      }
    }
    return outputs
  }
}

/// What answers come to.
private struct Judgement {
  let task: SequenceTask
  private var (right, errors, count) = (0, 0.0, 0)

  init(task: SequenceTask) { self.task = task }

  /// - Parameters: `rows` of answers and targets, and whether they count.
  mutating func add(
    rows: Int, _ outputs: UnsafePointer<Float>, _ y: UnsafePointer<Float>,
    _ scored: UnsafePointer<Float>
  ) {
    let K = task.outputs
    for row in 0..<rows where scored[row] > 0 {
      count += 1
      let (answer, truth) = (outputs + row * K, y + row * K)
      if K == 1 {
        right += (answer[0] > 0) == (truth[0] > 0) ? 1 : 0
        errors += Double((answer[0] - truth[0]) * (answer[0] - truth[0]))
      } else {
        let best = (0..<K).max { answer[$0] < answer[$1] }!
        right += truth[best] > 0 ? 1 : 0
      }
    }
  }

  var score: Double {
    task.isClassification ? Double(right) / Double(count) : errors / Double(count)
  }
}
