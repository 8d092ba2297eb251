import ArgumentParser
import ForecastService
import Forecasters
import Foundation
import NumericsCore
import Privacy
import Training

// Private training steps beside ordinary ones: Benchmarks/private asks this process and Benchmarks/peers/opacus_layers.py in
// turn.

/// Answers requests on standard input, one JSON object a line; see `Request`.
///
/// A step is forward, backward from the squared error of 24 outputs of the last state, and Adam; the private one
/// clips the gradient of every sequence and adds noise. Sampling is left out: the batch is the same in both.
struct PrivateSteps: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "private-steps",
    abstract: "Time private training steps beside ordinary ones, and compare their memory.")

  struct Request: Decodable {
    /// "both": steps of both sides in turn. "ordinary" and "private": of one side only, as the memory of a process
    /// that does nothing else is wanted.
    let mode: String
    let kind: String
    let batch: Int
    let length: Int
    let inputs: Int
    let width: Int
    let threads: Int
    /// Wall-clock seconds to measure for; the best step of each side counts.
    let seconds: Double
  }

  struct Answer: Encodable {
    var ordinary: StepTime?
    var privately: StepTime?
    /// The part of a private step that follows the last contribution: sums of threads, noise, its check.
    var release: StepTime?
    /// Numbers in memory, as planned.
    var plannedMB: Double
    /// Growth of the resident set from before the measurement was made.
    var grownMB = 0.0

    enum CodingKeys: String, CodingKey {
      case ordinary, release, plannedMB, grownMB
      case privately = "private"
    }
  }

  func run() throws {
    let encoder = JSONEncoder()
    while let line = readLine() {
      let request = try JSONDecoder().decode(Request.self, from: Data(line.utf8))
      print(String(decoding: try encoder.encode(try answer(request)), as: UTF8.self))
      fflush(nil)
    }
  }

  private func answer(_ request: Request) throws -> Answer {
    guard ["both", "ordinary", "private"].contains(request.mode) else {
      throw ValidationError("mode is \(request.mode), expected both, ordinary or private")
    }
    let before = Memory.resident
    Memory.resetPeak()
    let measurement = try PrivateMeasurement(
      request.kind, batch: request.batch, length: request.length, inputs: request.inputs,
      width: request.width, threads: request.threads,
      ordinary: request.mode != "private", privately: request.mode != "ordinary")
    var (ordinary, privately, release) = (StepTime(), StepTime(), StepTime())
    let end = ContinuousClock.now + .seconds(request.seconds)
    repeat {
      if request.mode != "private" { ordinary.add { measurement.step() } }
      if request.mode != "ordinary" {
        try privately.add {
          measurement.collect()
          try release.add { try measurement.release() }
          measurement.update()
        }
      }
    } while ContinuousClock.now < end
    let took = request.mode != "ordinary"
    return Answer(
      ordinary: request.mode == "private" ? nil : ordinary, privately: took ? privately : nil,
      release: took ? release : nil, plannedMB: Double(measurement.bytes) / 1e6,
      grownMB: max(0, Memory.peak - before))
  }
}

/// The best of several calls, in milliseconds: by the clock, and on the processor (all threads, user and system).
struct StepTime: Encodable {
  private(set) var wall = Double.infinity
  private(set) var cpu = Double.infinity

  mutating func add(_ body: () throws -> Void) rethrows {
    let (began, used) = (ContinuousClock.now, Self.processor)
    try body()
    wall = min(wall, (ContinuousClock.now - began).seconds * 1e3)
    cpu = min(cpu, (Self.processor - used) * 1e3)
  }

  private static var processor: Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}

final class PrivateMeasurement {
  private struct Part {
    /// By the number of the pass; passes of one size have the same execution.
    let passes: [(execution: Execution<Float>, x: Tensor<Float>, rows: Range<Int>)]
    let gradient: Buffer<Float>
    let planned: Int
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
  private var noisy: Buffer<Float>?
  /// `[B, T, F]`.
  private let inputs: Buffer<Float>
  /// Numbers of a sequence, and of a step of it.
  private let sequence: (count: Int, step: Int)

  init(
    _ kind: String, batch: Int, length: Int, inputs: Int, width: Int, threads: Int,
    ordinary: Bool, privately: Bool
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
    sequence = (length * inputs, inputs)
    parameters = Buffer(layout.count)
    var stream = RandomStream(seed: 1, purpose: "initialisation")
    backbone.initialize(parameters, using: &stream)
    for k in 0..<weight.count { parameters[weight.offset + k] = Float(stream.normal()) * 0.1 }
    self.inputs = Buffer((0..<batch * length * inputs).map { _ in Float(stream.normal()) })
    optimiser = Optimiser(.adam, count: layout.count)
    func graph(
      _ rows: Int, segmentBytes: Int? = nil
    ) -> (graph: Graph<Float>, x: Tensor<Float>, loss: Tensor<Float>) {
      let graph = Graph<Float>(segmentBytes: segmentBytes)
      let x = graph.input([length, rows, inputs])
      let y = backbone.apply(to: x).last
        .linear(graph.parameter(weight), bias: graph.parameter(bias))
      let loss = y.scaled(by: 1, plus: -1).map(.square).mean(axis: 1).sum()
      graph.keep(loss)
      return (graph, x, loss)
    }
    func unitPlan(_ rows: Int) throws -> (plan: Plan<Float>, x: Tensor<Float>) {
      let (whole, x, loss) = graph(rows)
      guard let plan = Plan(whole, loss: loss, rows: rows, single: graph(1).graph) else {
        throw ValidationError("rows of \(kind) cannot be told apart")
      }
      return (plan, x)
    }
    func ordinaryPlan(_ rows: Int) -> (plan: Plan<Float>, x: Tensor<Float>) {
      let (whole, x, loss) = graph(rows, segmentBytes: Graph<Float>.cachedSegmentBytes)
      return (Plan(whole, loss: loss), x)
    }
    func part(_ thread: Int, private isPrivate: Bool) throws -> Part {
      let mine = batch * thread / threads..<batch * (thread + 1) / threads
      // As a job has it: all rows at once, or as many units as a pass takes.
      let together =
        isPrivate
        ? try PrivatePass.units(of: mine.count) { try unitPlan($0).plan.peakBytes } : mine.count
      let arena = Buffer<Float>(0)
      var bySize: [Int: (execution: Execution<Float>, x: Tensor<Float>)] = [:]
      let passes = try stride(from: mine.lowerBound, to: mine.upperBound, by: together).map {
        first in
        let rows = first..<min(first + together, mine.upperBound)
        if bySize[rows.count] == nil {
          let planned = isPrivate ? try unitPlan(rows.count) : ordinaryPlan(rows.count)
          bySize[rows.count] = (Execution(planned.plan, arena: arena), planned.x)
        }
        let (execution, x) = bySize[rows.count]!
        return (execution: execution, x: x, rows: rows)
      }
      return Part(
        passes: passes, gradient: Buffer(layout.count),
        planned: bySize.values.map { $0.execution.plan.peakBytes }.max() ?? 0)
    }
    plain = Parts(all: ordinary ? try (0..<threads).map { try part($0, private: false) } : [])
    units = Parts(all: privately ? try (0..<threads).map { try part($0, private: true) } : [])
    // A sum takes memory only where there is one.
    sum = try PrivateSum(
      parameters: privately ? layout.count : 1, threads: threads, expected: Double(batch),
      clipping: .flat, clippingNorm: 0.1, noiseMultiplier: 1)
    steps = try Privacy.PrivateSteps(
      records: batch, samplingRate: 1, noiseMultiplier: 1, steps: 1_000_000)
  }

  /// Bytes of the steps that there are: activations, gradients of the threads, moments; of private ones also
  /// sums of 64 bits, the noisy sum and the mean.
  var bytes: Int {
    let own = units.all.isEmpty ? 0 : 8 + 4
    return (plain.all + units.all).reduce((2 * 4 + own) * parameters.count) {
      $0 + $1.planned + $1.gradient.count * 4
    } + units.all.count * 8 * parameters.count
  }

  /// Writes the rows of a pass where its network reads them.
  private static func fill(
    _ execution: Execution<Float>, _ x: Tensor<Float>, _ rows: Range<Int>,
    _ inputs: Buffer<Float>, _ sequence: (count: Int, step: Int)
  ) {
    execution.writeConstants()
    let to = execution.input(x)
    for (place, row) in rows.enumerated() {
      for t in 0..<sequence.count / sequence.step {
        for k in 0..<sequence.step {
          to[(t * rows.count + place) * sequence.step + k] =
            inputs[row * sequence.count + t * sequence.step + k]
        }
      }
    }
  }

  func step() {
    let (parts, parameters, batch) = (plain, parameters, batch)
    let work = Work(inputs: inputs, sequence: sequence)
    parallel(count: parts.all.count) { thread in
      let part = parts.all[thread]
      part.gradient.zero()
      for (execution, x, rows) in part.passes {
        Self.fill(execution, x, rows, work.inputs, work.sequence)
        execution.forward(parameters: parameters.base, training: true)
        execution.backward(into: part.gradient.base, scale: 1 / Float(batch))
      }
    }
    let gradient = parts.all[0].gradient
    for part in parts.all.dropFirst() {
      Float.add(gradient.count, part.gradient.base, to: gradient.base)
    }
    optimiser.step(parameters, gradient, rate: 1e-6)
  }

  private struct Work: @unchecked Sendable {  // only read
    let inputs: Buffer<Float>
    let sequence: (count: Int, step: Int)
  }

  /// The first part of a private step: gradients of all sequences, clipped and summed.
  func collect() {
    let (parts, parameters) = (units, parameters)
    let work = Work(inputs: inputs, sequence: sequence)
    sum.collect { thread, lane in
      let part = parts.all[thread]
      let gradient = part.gradient
      for (execution, x, rows) in part.passes {
        Self.fill(execution, x, rows, work.inputs, work.sequence)
        execution.forward(parameters: parameters.base, training: true)
        execution.backward(
          units: (0..<rows.count).map { $0..<$0 + 1 },
          into: UnsafeMutableBufferPointer(start: gradient.base, count: gradient.count)
        ) { _ in lane.add(gradient) }
      }
    }
  }

  /// The second: noise.
  func release() throws {
    _ = try steps.nextBatch()
    noisy = try sum.release(contributions: batch, &steps)
  }

  /// The third.
  func update() { if let noisy { optimiser.step(parameters, noisy, rate: 1e-6) } }
}
