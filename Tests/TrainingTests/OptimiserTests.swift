import Foundation
import NumericsCore
import TestSupport
import Testing
import Training

/// What torch.optim computed; see Golden/optimisers.py.
struct OptimiserGolden: Decodable, Sendable {
  struct Run: Decodable, Sendable {
    let kind: OptimiserKind
    let rate: Double
    let weightDecay: Double?
    let momentum: Double?
    let nesterov: Bool?
    let start: [Double]
    let after: [[Double]]
  }
  struct Schedule: Decodable, Sendable {
    let kind: ScheduleKind
    let peak: Double
    let steps: Int
    let warmup: Int?
    let gamma: Double?
    let stepSize: Int?
    let rates: [Double]
  }
  struct Clipping: Decodable, Sendable {
    let norm: Double
    let value: Double
    let gradient: [Double]
    let clipped: [Double]
  }
  let gradients: [[Double]]
  let optimisers: [Run]
  let schedules: [Schedule]
  let clipping: [Clipping]

  static func read() throws -> OptimiserGolden { try Golden.json("optimisers.json") }
}

@Suite("Optimisers")
struct OptimiserTests {
  private func make<Element: Real>(
    _ run: OptimiserGolden.Run, _ type: Element.Type
  ) -> Optimiser<Element> {
    Optimiser(
      run.kind, count: run.start.count, weightDecay: run.weightDecay ?? 0,
      momentum: run.momentum ?? 0.9, nesterov: run.nesterov ?? false)
  }

  private func check<Element: Real>(
    _ golden: OptimiserGolden, _ type: Element.Type, tolerance: Element
  ) {
    for run in golden.optimisers {
      let optimiser = make(run, Element.self)
      let parameters = Buffer(run.start.map { Element($0) })
      for (step, gradient) in golden.gradients.enumerated() {
        // The scale is folded in: a gradient four times too large with a scale of a quarter.
        optimiser.step(
          parameters, Buffer(gradient.map { Element(4 * $0) }), rate: run.rate, scale: 0.25)
        expectClose(
          parameters.array, run.after[step].map { Element($0) }, absolute: tolerance,
          relative: tolerance, "\(run.kind), step \(step)")
      }
      #expect(optimiser.step == golden.gradients.count)
    }
  }

  @Test("every optimiser walks as torch.optim does")
  func golden() throws {
    let golden = try OptimiserGolden.read()
    #expect(Set(golden.optimisers.map(\.kind)) == Set(OptimiserKind.allCases))
    check(golden, Double.self, tolerance: 1e-13)
    check(golden, Float.self, tolerance: 2e-5)
  }

  @Test("a restored optimiser goes on to the same bits")
  func restored() throws {
    let golden = try OptimiserGolden.read()
    for run in golden.optimisers {
      let whole = make(run, Float.self)
      let p = Buffer(run.start.map { Float($0) })
      let q = Buffer<Float>(p.count)
      var other = make(run, Float.self)
      for (step, gradient) in golden.gradients.enumerated() {
        if step == 6 {
          other = make(run, Float.self)
          other.first.copy(from: whole.first)
          other.second.copy(from: whole.second)
          other.restore(step: 6)
          q.copy(from: p)
        }
        let gradient = Buffer(gradient.map { Float($0) })
        whole.step(p, gradient, rate: run.rate)
        if step >= 6 {
          other.step(q, gradient, rate: run.rate)
          #expect(p.array == q.array, "\(run.kind)")
        }
      }
    }
  }

  @Test("clipping by value and by norm is torch's, in that order")
  func clipping() throws {
    for one in try OptimiserGolden.read().clipping {
      let gradient = Buffer(one.gradient.map { Float($0) })
      let shaping = GradientShaping(clippingNorm: one.norm, clippingValue: one.value)
      let scale = try #require(shaping.apply(to: gradient, step: 0))
      expectClose(
        gradient.array.map { $0 * Float(scale) }, one.clipped.map { Float($0) }, relative: 2e-6)
    }
  }

  @Test("a gradient that is not finite is told, also where clipping would hide it")
  func notFinite() {
    for bad in [Float.nan, .infinity] {
      for shaping in [
        GradientShaping(), GradientShaping(clippingNorm: 1), GradientShaping(clippingValue: 1),
        GradientShaping(noise: 1),
      ] {
        #expect(shaping.apply(to: Buffer([1, bad, 2]), step: 0) == nil)
      }
    }
  }

  @Test("annealed noise has the deviation of its step, and is another at every step and seed")
  func noise() throws {
    let count = 1 << 14
    func draw(_ step: Int, seed: UInt64 = 1, norm: Double = 0) -> [Float] {
      let gradient = Buffer([Float](repeating: 3, count: count))
      let shaping = GradientShaping(clippingNorm: norm, noise: 0.3, seed: seed)
      #expect(shaping.apply(to: gradient, step: step) == 1)
      return gradient.array
    }
    for step in [0, 10, 1000] {
      let noise = draw(step).map { Double($0) - 3 }
      let variance = noise.reduce(0) { $0 + $1 * $1 } / Double(count)
      // eta / (1 + t)^0.55; six standard errors of a variance.
      let expected = 0.3 / pow(1 + Double(step), 0.55)
      expectClose(variance, expected, relative: 6 * (2 / Double(count)).squareRoot())
      expectClose(
        noise.reduce(0, +) / Double(count), 0, absolute: 6 * (expected / Double(count)).squareRoot()
      )
    }
    #expect(draw(4) == draw(4))
    #expect(draw(4) != draw(5))
    #expect(draw(4) != draw(4, seed: 2))
    // Clipping comes first: the noise keeps its size.
    let clipped = draw(0, norm: 1)
    let mean = clipped.reduce(0) { $0 + Double($1) } / Double(count)
    expectClose(
      mean, 1 / Double(count).squareRoot(), absolute: 6 * (0.3 / Double(count)).squareRoot())
  }
}

@Suite("Learning rate schedules")
struct LearningRateScheduleTests {
  @Test("schedules are torch's")
  func golden() throws {
    let golden = try OptimiserGolden.read().schedules
    #expect(Set(golden.map(\.kind)) == Set(ScheduleKind.allCases))
    for one in golden {
      let schedule = LearningRateSchedule(
        one.kind, peak: one.peak, steps: one.steps, warmup: one.warmup, gamma: one.gamma ?? 0.1,
        stepSize: one.stepSize)
      expectClose(
        one.rates.indices.map { schedule.rate($0) }, one.rates, absolute: 1e-15, relative: 1e-12,
        "\(one.kind)")
    }
  }

  @Test(
    "the default is bit for bit the warm-up and cosine it always was", arguments: [1, 7, 20, 500])
  func standard(steps: Int) {
    let schedule = LearningRateSchedule(peak: 2e-3, steps: steps)
    for step in 0..<steps {
      let warmup = max(1, steps / 20)
      let done = Double(step - warmup) / Double(max(1, steps - warmup))
      let expected =
        step < warmup
        ? 2e-3 * Double(step + 1) / Double(warmup) : 2e-3 * 0.5 * (1 + cos(.pi * done))
      #expect(schedule.rate(step).bitPattern == expected.bitPattern)
    }
  }

  @Test(
    "every schedule rises to its peak in the warm-up, never exceeds it and stays above zero",
    arguments: ScheduleKind.allCases, [nil, 0, 1, 5, 30] as [Int?])
  func bounds(kind: ScheduleKind, warmup: Int?) {
    let schedule = LearningRateSchedule(kind, peak: 0.5, steps: 30, warmup: warmup)
    let rates = (0..<30).map { schedule.rate($0) }
    #expect(rates.allSatisfy { $0 > 0 && $0 <= 0.5 })
    let top = rates.firstIndex(of: rates.max()!)!
    #expect(zip(rates[...top], rates[...top].dropFirst()).allSatisfy { $0 < $1 })
    #expect(zip(rates[top...], rates[top...].dropFirst()).allSatisfy { $0 >= $1 })
    if let warmup, warmup > 0 {
      expectClose(rates[warmup - 1], 0.5, relative: 1e-14)
    } else if warmup == 0, kind != .oneCycle {
      #expect(rates[0] == 0.5)
    }
  }
}

@Suite("Weight averages")
struct WeightAverageTests {
  private func weights(_ step: Int) -> [Float] { (0..<5).map { Float(sin(Double($0 + 3 * step))) } }

  @Test("stochastic weight averaging is the mean of the last quarter's weights")
  func swa() {
    for steps in [1, 2, 4, 7, 40] {
      let current = Buffer<Float>(5)
      let average = WeightAverage(current, .swa, steps: steps)
      let first = steps - (steps + 3) / 4  // steps that are not averaged
      for step in 0..<steps {
        for (k, value) in weights(step).enumerated() { current[k] = value }
        average.add(current)
        let averaged = step < first ? [step] : Array(first...step)
        let expected = (0..<5).map { k in
          averaged.reduce(Float(0)) { $0 + weights($1)[k] } / Float(averaged.count)
        }
        expectClose(average.weights.array, expected, absolute: 1e-6, "step \(step) of \(steps)")
      }
    }
  }

  @Test("no average is the weights of the last step")
  func none() {
    let average = WeightAverage(Buffer(weights(0)), .none, steps: 9)
    average.add(Buffer(weights(4)))
    #expect(average.weights.array == weights(4))
  }

  @Test("the moving average forgets its start and then decays by 0.98")
  func ema() {
    let average = WeightAverage(Buffer(weights(0)), .ema, steps: 500)
    var expected = weights(0).map(Double.init)
    for step in 1...500 {
      average.add(Buffer(weights(step)))
      let keep = min(0.98, Double(1 + step) / Double(10 + step))
      for k in 0..<5 { expected[k] = keep * expected[k] + (1 - keep) * Double(weights(step)[k]) }
    }
    expectClose(average.weights.array.map(Double.init), expected, absolute: 1e-6)
  }
}
