// Training and inference of layers beside PyTorch: Benchmarks/layers asks this process and
// Benchmarks/peers/layers.py in turn.

import ArgumentParser
import CKernels
import ForecastService
import Foundation
import NumericsCore

/// Answers requests on standard input, one JSON object a line; see `Request`.
struct Layers: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time layers: requests on standard input, answers on standard output.")

  struct Request: Decodable {
    /// peak, train, infer or stream.
    let mode: String
    let kind: String?
    let batch: Int?
    let length: Int?
    let inputs: Int?
    let width: Int?
    let layers: Int?
    let threads: Int?
    /// Wall-clock seconds to measure for; the best call counts.
    let seconds: Double?
  }

  struct Answer: Encodable {
    var milliseconds = 0.0
    /// Of one call: matrix products only.
    var gigaflop = 0.0
    /// Numbers in memory beside inputs and parameters, as planned.
    var plannedMB = 0.0
    /// Growth of the resident set over the measurement.
    var grownMB = 0.0
    /// GFLOP/s of our register tile and of OpenBLAS, for `peak` only.
    var tile: Double?
    var sgemm: Double?
  }

  func run() throws {
    let encoder = JSONEncoder()
    while let line = readLine() {
      let request = try JSONDecoder().decode(Request.self, from: Data(line.utf8))
      let answer = try answer(request)
      print(String(decoding: try encoder.encode(answer), as: UTF8.self))
      fflush(nil)
    }
  }

  private func answer(_ request: Request) throws -> Answer {
    let threads = request.threads ?? 1
    let seconds = request.seconds ?? 1
    if request.mode == "peak" {
      return Answer(
        tile: Peak.tile(threads, seconds / 2), sgemm: Peak.sgemm(threads, seconds / 2))
    }
    guard let kind = RecurrentCell.Kind(rawValue: request.kind ?? ""),
      let inputs = request.inputs, let width = request.width
    else { throw ValidationError("expected kind, inputs and width") }
    if request.mode == "stream" {
      return StreamingMeasurement(kind, inputs: inputs, width: width).run(seconds)
    }
    guard let batch = request.batch, let length = request.length, let layers = request.layers else {
      throw ValidationError("expected batch, length and layers")
    }
    let before = Memory.resident
    Memory.resetPeak()
    let measurement = SequenceMeasurement(
      kind, batch: batch, length: length, inputs: inputs, width: width, layers: layers,
      threads: threads, trains: request.mode == "train")
    var answer = measurement.run(seconds)
    answer.grownMB = max(0, Memory.peak - before)
    return answer
  }
}

/// The best time of a body that is called again and again.
private func bestMilliseconds(_ seconds: Double, _ body: () -> Void) -> Double {
  body()
  body()
  var best = Double.infinity
  let end = ContinuousClock.now + .seconds(seconds)
  repeat {
    let began = ContinuousClock.now
    body()
    best = min(best, (ContinuousClock.now - began).seconds * 1e3)
  } while ContinuousClock.now < end
  return best
}

/// Training steps (forward, backward, Adam) or forward passes of stacked recurrent layers, the batch split
/// over threads.
private final class SequenceMeasurement {
  private let threads: Int
  private let trains: Bool
  private let parts: Parts
  private let parameters: Buffer<Float>
  private let first: Buffer<Float>
  private let second: Buffer<Float>
  private let gigaflop: Double

  private final class Part {
    let execution: Execution<Float>
    let gradient: Buffer<Float>

    init(_ execution: Execution<Float>, gradient: Int) {
      self.execution = execution
      self.gradient = Buffer(gradient)
    }
  }
  private struct Parts: @unchecked Sendable {  // each thread uses its own
    let all: [Part]
  }

  init(
    _ kind: RecurrentCell.Kind, batch: Int, length: Int, inputs: Int, width: Int, layers: Int,
    threads: Int, trains: Bool
  ) {
    self.threads = threads
    self.trains = trains
    let cells = (0..<layers).map {
      RecurrentCell(kind, inputs: $0 == 0 ? inputs : width, width: width)
    }
    var layout = ParameterLayout()
    let tensors = cells.enumerated().map { number, cell in
      (
        layout.add("\(number).input", cell.inputShape.axes),
        layout.add("\(number).recurrent", cell.recurrentShape.axes),
        layout.add("\(number).bias", cell.biasShape.axes),
        cell.hasCandidateBias ? layout.add("\(number).candidate", [width]) : nil
      )
    }
    parameters = Buffer(layout.count)
    var random = RandomStream(seed: 1, purpose: "bench")
    for k in 0..<layout.count {
      parameters[k] = Float(random.normal() / Double(width).squareRoot())
    }
    first = Buffer(trains ? layout.count : 0)
    second = Buffer(trains ? layout.count : 0)

    parts = Parts(
      all: (0..<threads).map { thread in
        let rows = batch * (thread + 1) / threads - batch * thread / threads
        let graph = Graph<Float>()
        let x = graph.input([length, rows, inputs])
        // The loss is the mean square of all outputs, so the gradient reaches every step.
        var y = x
        for (cell, tensor) in zip(cells, tensors) {
          y =
            y.recurrent(
              cell,
              RecurrentWeights(
                input: graph.parameter(tensor.0), recurrent: graph.parameter(tensor.1),
                bias: graph.parameter(tensor.2), candidateBias: tensor.3.map { graph.parameter($0) }
              )
            ).outputs
        }
        let loss = y.map(.square).mean()
        graph.keep(loss)
        graph.keep(y)
        let part = Part(
          Execution(Plan(graph, loss: trains ? loss : nil)), gradient: trains ? layout.count : 0)
        for k in 0..<x.shape.count { part.execution.input(x)[k] = Float(random.normal()) }
        return part
      })
    let perStep = cells.map { cell in
      let (G, F, D) = (Double(cell.gates), Double(cell.inputs), Double(cell.width))
      let forward = 2 * G * D * (F + D)
      // Backward: the weights' gradient, that of the state, and between layers that of the inputs.
      return trains ? 2 * forward + 2 * G * D * (D + (cell == cells[0] ? 0 : F)) : forward
    }
    gigaflop = perStep.reduce(0, +) * Double(batch * length) / 1e9
  }

  func run(_ seconds: Double) -> Layers.Answer {
    var step = 0
    let milliseconds = bestMilliseconds(seconds) {
      step += 1
      let (parts, parameters, trains, threads) = (parts, parameters, trains, threads)
      parallel(count: threads) { thread in
        let part = parts.all[thread]
        part.execution.forward(parameters: parameters.base, training: trains)
        if trains {
          part.gradient.zero()
          part.execution.backward(into: part.gradient.base, scale: 1 / Float(threads))
        }
      }
      guard trains else { return }
      let gradient = parts.all[0].gradient
      for part in parts.all.dropFirst() {
        Float.add(gradient.count, part.gradient.base, to: gradient.base)
      }
      Float.adam(
        parameters.count, parameters.base, gradient.base, first.base, second.base, scale: 1,
        beta1: 0.9, beta2: 0.999, rate: 1e-4, secondCorrection: 1, epsilon: 1e-8)
    }
    let planned = parts.all.reduce(0) { $0 + $1.execution.plan.peakBytes + $1.gradient.count * 4 }
    return Layers.Answer(
      milliseconds: milliseconds, gigaflop: gigaflop,
      plannedMB: Double(planned + (first.count + second.count) * 4) / 1e6)
  }
}

/// One step of a stream, batch 1.
private struct StreamingMeasurement {
  let stepper: RecurrentStepper<Float>
  let x: Buffer<Float>

  init(_ kind: RecurrentCell.Kind, inputs: Int, width: Int) {
    let cell = RecurrentCell(kind, inputs: inputs, width: width)
    var random = RandomStream(seed: 1, purpose: "bench")
    func numbers(_ count: Int) -> Buffer<Float> {
      let buffer = Buffer<Float>(count)
      for k in 0..<count { buffer[k] = Float(random.normal() * 0.1) }
      return buffer
    }
    let weights = [
      cell.inputShape.count, cell.recurrentShape.count, cell.biasShape.count, width,
    ].map(numbers)
    stepper = withExtendedLifetime(weights) {
      RecurrentStepper(
        cell, batch: 1, input: weights[0].base, recurrent: weights[1].base, bias: weights[2].base,
        candidateBias: cell.hasCandidateBias ? UnsafePointer(weights[3].base) : nil)
    }
    x = numbers(inputs)
  }

  func run(_ seconds: Double) -> Layers.Answer {
    let repeats = 100
    let milliseconds = bestMilliseconds(seconds) {
      for _ in 0..<repeats { x[0] = stepper.step(x.base)[0] }
    }
    return Layers.Answer(milliseconds: milliseconds / Double(repeats))
  }
}

/// What the machine can do at most, in single precision.
private enum Peak {
  /// GFLOP/s of our register tile on operands in the L1 cache.
  static func tile(_ threads: Int, _ seconds: Double) -> Double {
    let work = Works(threads, 16384)
    let repeats = 2000
    var done = 0.0
    let flops = Results(threads)
    let milliseconds = bestMilliseconds(seconds) {
      parallel(count: threads) {
        flops.all[$0] = ck_peak(Int32(CK_FLOAT), repeats, work.all[$0].base)
      }
      done = flops.all.array.reduce(0, +)
    }
    return done / milliseconds / 1e6
  }

  /// GFLOP/s of OpenBLAS on square matrices, single-threaded on each thread.
  static func sgemm(_ threads: Int, _ seconds: Double) -> Double {
    let n = 768
    let work = Works(threads, 3 * n * n)
    let milliseconds = bestMilliseconds(seconds) {
      parallel(count: threads) { thread in
        let base = work.all[thread].base
        Float.multiply(
          n, n, n, alpha: 1, base, .plain, lda: n, base + n * n, .plain, ldb: n, beta: 0,
          base + 2 * n * n, ldc: n)
      }
    }
    return 2 * Double(n * n * n) * Double(threads) / milliseconds / 1e6
  }

  private struct Works: @unchecked Sendable {  // each thread uses its own
    let all: [Buffer<Float>]
    init(_ threads: Int, _ count: Int) {
      all = (0..<threads).map { _ in Buffer((0..<count).map { Float($0 % 7) * 1e-3 }) }
    }
  }
  private struct Results: Sendable {
    let all: Buffer<Double>
    init(_ threads: Int) { all = Buffer(threads) }
  }
}

/// Megabytes of this process.
private enum Memory {
  static var resident: Double { status("VmRSS") }
  /// The highest since `resetPeak`.
  static var peak: Double { status("VmHWM") }
  static func resetPeak() {
    try? Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
  }

  private static func status(_ key: String) -> Double {
    guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix(key) }),
      let kilobytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first
    else { return 0 }
    return (Double(kilobytes) ?? 0) / 1024
  }
}
