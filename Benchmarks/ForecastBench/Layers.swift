// Names: shape letters.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

// Training and inference of layers beside PyTorch: Benchmarks/layers asks this process and
// Benchmarks/peers/layers.py in turn.

import ArgumentParser
import CKernels
import ForecastService
import Forecasters
import Foundation
import NumericsCore

/// Answers requests on standard input, one JSON object a line; see `Request`.
struct Layers: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time layers: requests on standard input, answers on standard output.")

  struct Request: Decodable {
    /// peak, train, window, infer, stream or tirex.
    let mode: String
    let kind: String?
    let batch: Int?
    let length: Int?
    let horizon: Int?
    let inputs: Int?
    let width: Int?
    let layers: Int?
    let threads: Int?
    /// Wall-clock seconds to measure for; the best call counts.
    let seconds: Double?
    /// Whether training keeps less and computes it again.
    let recompute: Bool?
    /// Kilobytes of a segment of a long sequence; 0 leaves it whole.
    let segment: Int?
  }

  struct Answer: Encodable {
    var milliseconds = 0.0
    /// Processor time of one call, user and system, of all threads.
    var cpuMilliseconds: Double?
    /// Of one call: matrix products only.
    var gigaflop = 0.0
    /// Numbers in memory beside inputs and parameters, as planned.
    var plannedMB = 0.0
    /// Growth of the resident set over the measurement.
    var grownMB = 0.0
    /// GFLOP/s of our register tile and of OpenBLAS, for `peak` only.
    var tile: Double?
    var sgemm: Double?
    /// GB/s of adding one array to another where neither fits the caches, for `peak` only: two are read and one is
    /// written.
    var memory: Double?
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
        tile: Peak.tile(threads, seconds / 3), sgemm: Peak.sgemm(threads, seconds / 3),
        memory: Peak.memory(threads, seconds / 3))
    }
    if request.mode == "tirex" {
      let measurement = TiRexMeasurement(
        batch: request.batch ?? 1, length: request.length ?? TiRexMeasurement.contextLength,
        horizon: request.horizon ?? TiRexMeasurement.size.patch, threads: threads)
      var answer = Answer(gigaflop: measurement.gigaflop)
      (answer.milliseconds, answer.cpuMilliseconds) = bestTimes(seconds) { measurement.run() }
      return answer
    }
    guard let mode = BackboneMeasurement.Mode(rawValue: request.mode),
      let kind = request.kind, let entry = Registry.entry(kind),
      entry is any BackboneArchitecture.Type
        || mode == .window && entry is any EncoderArchitecture.Type,
      let width = request.width
    else { throw ValidationError("expected mode, kind and width") }
    let (batch, length, layers) = (request.batch ?? 1, request.length ?? 1, request.layers ?? 1)
    let inputs = request.inputs ?? width
    let before = Memory.resident
    Memory.resetPeak()
    let measurement = BackboneMeasurement(
      ForecasterConfiguration(
        kind: kind, hidden: width, layers: layers, contextLength: max(length, 2), horizon: 1),
      mode: mode, batch: batch, length: length, inputs: inputs, threads: min(threads, batch),
      recompute: request.recompute ?? false,
      segmentBytes: request.segment.map { $0 * 1024 } ?? Graph<Float>.cachedSegmentBytes)
    var answer = Answer()
    let times = bestTimes(seconds) { measurement.run() }
    let calls = mode == .stream ? Double(BackboneMeasurement.streamedSteps) : 1
    (answer.milliseconds, answer.cpuMilliseconds) = (times.wall / calls, times.processor / calls)
    answer.plannedMB = Double(measurement.plannedBytes) / 1e6
    answer.grownMB = max(0, Memory.peak - before)
    if mode != .stream, let kind = RecurrentCell.Kind(rawValue: kind) {
      answer.gigaflop =
        products(kind, inputs: inputs, width: width, layers: layers, trains: mode != .infer)
        * Double(batch * length) / 1e9
    }
    return answer
  }

  /// Operations of the matrix products of one step of one series.
  private func products(
    _ kind: RecurrentCell.Kind, inputs: Int, width: Int, layers: Int, trains: Bool
  ) -> Double {
    (0..<layers).reduce(0.0) { sum, layer in
      let cell = RecurrentCell(kind, inputs: layer == 0 ? inputs : width, width: width)
      let (G, F, D) = (Double(cell.gates), Double(cell.inputs), Double(cell.width))
      let forward = 2 * G * D * (F + D)
      // Backward: the weights' gradient, that of the state, and between layers that of the inputs.
      return sum + (trains ? 2 * forward + 2 * G * D * (D + (layer == 0 ? 0 : F)) : forward)
    }
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

/// The least wall-clock and processor milliseconds of a body that is called again and again.
private func bestTimes(
  _ seconds: Double, _ body: () -> Void
) -> (wall: Double, processor: Double) {
  var processor = Double.infinity
  let wall = bestMilliseconds(seconds) {
    let before = clock()
    body()
    // POSIX counts microseconds.
    processor = min(processor, Double(clock() - before) / 1e3)
  }
  return (wall, processor)
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

  /// GB/s beyond the caches.
  static func memory(_ threads: Int, _ seconds: Double) -> Double {
    let count = 1 << 25
    let work = Works(threads, 2 * count)
    let milliseconds = bestMilliseconds(seconds) {
      parallel(count: threads) {
        let base = work.all[$0].base
        Float.add(count, base, to: base + count)
      }
    }
    return Double(3 * count * 4 * threads) / milliseconds / 1e6
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
enum Memory {
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

/// Sequential form and Newton's method of cells with diagonal recurrent weights.
struct ParallelTime: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "parallel-time",
    abstract: "Time both forms of diagonal cells, and print which the rule picks.")

  func run() { measureParallelInTime() }
}
