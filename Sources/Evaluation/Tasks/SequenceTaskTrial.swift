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

  /// Fits by Adam under a cosine schedule; gradients clipped to norm 1.
  package func train(steps: Int, batch B: Int = 32, rate: Double = 3e-3, seed: UInt64 = 1) {
    let program = Program(self, length, B, training: true)
    let gradient = Buffer<Float>(parameters.count)
    let optimiser = Optimiser<Float>(.adam, count: parameters.count)
    let schedule = LearningRateSchedule(.cosine, peak: rate, steps: steps, warmup: steps / 20)
    let shaping = GradientShaping(clippingNorm: 1, seed: seed)
    var stream = RandomStream(seed: seed, purpose: "task")
    for step in 0..<steps {
      draw(program, length, B, &stream)
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
  package func score(steps T: Int, sequences: Int = 256, seed: UInt64 = 99) -> Double {
    let B = min(sequences, 32)
    let K = task.outputs
    let program = Program(self, T, B, training: false)
    var stream = RandomStream(seed: seed, purpose: "judgement")
    var (right, errors, count) = (0, 0.0, 0)
    for _ in 0..<(sequences / B) {
      draw(program, T, B, &stream)
      program.execution.forward(parameters: parameters.base)
      let (outputs, y) = (
        program.execution.value(program.outputs), program.execution.input(program.y)
      )
      let scored = program.execution.input(program.scored)
      for row in 0..<(T * B) where scored[row] > 0 {
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
    return task.isClassification ? Double(right) / Double(count) : errors / Double(count)
  }
}
