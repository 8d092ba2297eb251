import ArgumentParser
import ForecastService
import Forecasters
import Foundation
import NumericsCore
import Privacy
import Training

/// Private training steps beside ordinary ones, in turn: time and memory.
///
/// A step is forward, backward from the squared error of 24 outputs of the last state, and Adam; the private one
/// clips the gradient of every sequence and adds noise. Sampling is left out: the batch is the same in both.
struct PrivateSteps: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "private-steps",
    abstract: "Time private training steps beside ordinary ones, and compare their memory.")

  @Option(help: "Architectures, separated by commas.")
  var kinds = "lstm,gru,slstm,mlstm,s4d,mamba"
  @Option var threads = 2
  @Option(help: "Steps of each side; the best counts.") var rounds = 20

  static let shapes = [(64, 96, 8, 128), (256, 48, 1, 32)]

  func run() throws {
    print("batch x length x inputs, width; milliseconds by the clock and on the processor")
    print("architecture  shape              ordinary          private      ratio  (cpu)  memory")
    for (batch, length, inputs, width) in Self.shapes {
      for kind in kinds.split(separator: ",").map(String.init) {
        let measurement = try PrivateMeasurement(
          kind, batch: batch, length: length, inputs: inputs, width: width, threads: threads)
        var (plain, privately) = (StepTime(), StepTime())
        for _ in 0..<rounds {
          plain.add { measurement.step() }
          try privately.add { try measurement.privateStep() }
        }
        let shape = "\(batch)x\(length)x\(inputs), \(width)"
        print(
          kind.padding(toLength: 13, withPad: " ", startingAt: 0),
          shape.padding(toLength: 16, withPad: " ", startingAt: 0),
          String(
            format: "%7.2f %7.2f   %7.2f %7.2f   %5.2f  %5.2f   %5.2f", plain.wall, plain.cpu,
            privately.wall, privately.cpu, privately.wall / plain.wall, privately.cpu / plain.cpu,
            Double(measurement.privateBytes) / Double(measurement.bytes)))
      }
    }
  }
}

/// The best of several calls.
private struct StepTime {
  private(set) var wall = Double.infinity
  private(set) var cpu = Double.infinity

  mutating func add(_ body: () throws -> Void) rethrows {
    let (began, used) = (ContinuousClock.now, Self.processor)
    try body()
    wall = min(wall, (ContinuousClock.now - began).seconds * 1e3)
    cpu = min(cpu, (Self.processor - used) * 1e3)
  }

  private static var processor: Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }
}

final class PrivateMeasurement {
  private struct Part {
    let execution: Execution<Float>
    let gradient: Buffer<Float>
    let rows: Int
  }
  private struct Parts: @unchecked Sendable {  // each thread uses its own
    let all: [Part]
  }

  private let plain: Parts
  private let units: Parts
  private let parameters: Buffer<Float>
  private let optimiser: Optimiser<Float>
  private let sum: PrivateSum
  private var steps: Privacy.PrivateSteps
  private let batch: Int

  init(
    _ kind: String, batch: Int, length: Int, inputs: Int, width: Int, threads: Int
  ) throws {
    guard let entry = Registry.entry(kind) as? any BackboneArchitecture.Type else {
      throw ValidationError("\(kind) is no causal backbone")
    }
    var layout = ParameterLayout()
    let backbone: any Backbone<Float> = entry.makeBackbone(
      ForecasterConfiguration(
        kind: kind, hidden: width, layers: 1, contextLength: length, horizon: 24),
      inputs: inputs, layout: &layout)
    let weight = layout.add("head.weight", [backbone.width, 24])
    let bias = layout.add("head.bias", [24])
    self.batch = batch
    parameters = Buffer(layout.count)
    var stream = RandomStream(seed: 1, purpose: "initialisation")
    backbone.initialize(parameters, using: &stream)
    for k in 0..<weight.count { parameters[weight.offset + k] = Float(stream.normal()) * 0.1 }
    optimiser = Optimiser(.adam, count: layout.count)
    func graph(_ rows: Int) -> (graph: Graph<Float>, x: Tensor<Float>, loss: Tensor<Float>) {
      let graph = Graph<Float>()
      let x = graph.input([length, rows, inputs])
      let y = backbone.apply(to: x).last
        .linear(graph.parameter(weight), bias: graph.parameter(bias))
      let loss = y.scaled(by: 1, plus: -1).map(.square).mean(axis: 1).sum()
      graph.keep(loss)
      return (graph, x, loss)
    }
    func parts(private isPrivate: Bool) throws -> Parts {
      try Parts(
        all: (0..<threads).map { thread in
          let rows = batch * (thread + 1) / threads - batch * thread / threads
          let (whole, x, loss) = graph(rows)
          let plan =
            isPrivate
            ? Plan(whole, loss: loss, rows: rows, single: graph(1).graph) : Plan(whole, loss: loss)
          guard let plan else { throw ValidationError("rows of \(kind) cannot be told apart") }
          let execution = Execution(plan)
          for k in 0..<x.shape.count { execution.input(x)[k] = Float(stream.normal()) }
          return Part(execution: execution, gradient: Buffer(layout.count), rows: rows)
        })
    }
    plain = try parts(private: false)
    units = try parts(private: true)
    sum = try PrivateSum(
      parameters: layout.count, threads: threads, expected: Double(batch), clipping: .flat,
      clippingNorm: 0.1, noiseMultiplier: 1)
    steps = try Privacy.PrivateSteps(
      records: batch, samplingRate: 1, noiseMultiplier: 1, steps: 1_000_000)
  }

  /// Bytes of an ordinary step: activations, gradients of the threads, moments.
  var bytes: Int {
    plain.all.reduce(2 * parameters.count * 4) {
      $0 + $1.execution.plan.peakBytes + $1.gradient.count * 4
    }
  }

  /// The same of a private one, with sums of 64 bits, the noisy sum and the mean.
  var privateBytes: Int {
    units.all.reduce((2 * 4 + 8 + 4) * parameters.count) {
      $0 + $1.execution.plan.peakBytes + $1.gradient.count * (4 + 8)
    }
  }

  func step() {
    let (parts, parameters, batch) = (plain, parameters, batch)
    parallel(count: parts.all.count) { thread in
      let part = parts.all[thread]
      part.gradient.zero()
      part.execution.forward(parameters: parameters.base, training: true)
      part.execution.backward(into: part.gradient.base, scale: 1 / Float(batch))
    }
    let gradient = parts.all[0].gradient
    for part in parts.all.dropFirst() {
      Float.add(gradient.count, part.gradient.base, to: gradient.base)
    }
    optimiser.step(parameters, gradient, rate: 1e-6)
  }

  func privateStep() throws {
    let (parts, parameters) = (units, parameters)
    _ = try steps.nextBatch()
    sum.collect { thread, lane in
      let part = parts.all[thread]
      let gradient = part.gradient
      part.execution.forward(parameters: parameters.base, training: true)
      part.execution.backward(
        units: (0..<part.rows).map { $0..<$0 + 1 },
        into: UnsafeMutableBufferPointer(start: gradient.base, count: gradient.count)
      ) { _ in lane.add(gradient) }
    }
    optimiser.step(parameters, try sum.release(contributions: batch, &steps), rate: 1e-6)
  }
}
