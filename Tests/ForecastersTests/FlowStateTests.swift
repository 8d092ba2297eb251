// Names: shape letters B, T, F, H, Q.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Forecasters
import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("FlowState")
struct FlowStateTests {
  private static func configuration(
    season: Int, context: Int, horizon: Int, basis: FunctionalBasis = .legendre, functions: Int = 8,
    quantiles: [Double]
  ) -> ForecasterConfiguration {
    ForecasterConfiguration(
      kind: "flowstate", hidden: 16, layers: 2,
      options: [
        "functions": .integer(functions), "span": .number(12), "basis": .text(basis.rawValue),
      ],
      contextLength: context, horizon: horizon, quantiles: quantiles, seasonality: [season])
  }

  private final class Model {
    let configuration: ForecasterConfiguration
    let layout: ParameterLayout
    let input: Tensor<Double>
    let raw: Tensor<Double>
    let target: Tensor<Double>
    let loss: Tensor<Double>
    let execution: Execution<Double>

    /// A model of values and a mask of ones, `[T, B, 2]`.
    init(_ configuration: ForecasterConfiguration, batch: Int) throws {
      try configuration.validate()
      self.configuration = configuration
      var layout = ParameterLayout()
      let model: any WindowModel<Double> = FlowStateArchitecture.makeModel(
        configuration, inputs: 2, layout: &layout)
      self.layout = layout
      let graph = Graph<Double>()
      input = graph.input([configuration.contextLength, batch, 2])
      raw = model.apply(to: input)
      target = graph.input(raw.shape)
      loss = (raw - target).map(.square).mean()
      graph.keep(raw)
      graph.keep(loss)
      execution = Execution(Plan(graph, loss: loss))
    }

    func start() -> Buffer<Double> {
      var layout = ParameterLayout()
      let model: any WindowModel<Double> = FlowStateArchitecture.makeModel(
        configuration, inputs: 2, layout: &layout)
      let parameters = Buffer<Double>(layout.count)
      var stream = RandomStream(seed: 3, purpose: "initialisation")
      model.initialize(parameters, using: &stream)
      return parameters
    }

    /// Windows of a wave of a day and one of half a day at any phases, sampled `24 / scale` times in a day.
    func fill(scale: Double, seed: UInt64) {
      var random = SeededGenerator(seed: seed)
      let (T, B, H) = (input.shape[0], input.shape[1], raw.shape[1])
      for b in 0..<B {
        let (day, half) = (random.uniform(), random.uniform())
        func value(_ time: Double) -> Double {
          sin(2 * .pi * (time / 24 + day)) + 0.5 * sin(2 * .pi * (time / 12 + half))
        }
        for t in 0..<T {
          execution.input(input)[(t * B + b) * 2] = value(Double(t + 1 - T) * scale)
          execution.input(input)[(t * B + b) * 2 + 1] = 1
        }
        for h in 0..<H { execution.input(target)[b * H + h] = value(Double(h + 1) * scale) }
      }
    }

    func evaluate(_ parameters: Buffer<Double>) -> Double {
      execution.forward(parameters: parameters.base)
      return execution.value(loss)[0]
    }
  }

  @Test("bases are orthogonal, and known at some points")
  func bases() {
    expectClose(
      FunctionalBasis.legendre.values(4, at: 0.5), [1, 0.5, -0.125, -0.4375], absolute: 1e-15)
    expectClose(
      FunctionalBasis.fourier.values(5, at: 0), [1, 1, 0, 0, -1], absolute: 1e-15)
    // By the midpoint rule.
    let points = (0..<20_000).map { (Double($0) + 0.5) / 10_000 - 1 }
    let rows = points.map { FunctionalBasis.legendre.values(6, at: $0) }
    for i in 0..<6 {
      for j in 0..<6 {
        let product = rows.reduce(0.0) { $0 + $1[i] * $1[j] } / 10_000
        expectClose(product, i == j ? 2 / Double(2 * i + 1) : 0, absolute: 1e-6)
      }
    }
  }

  @Test(
    "forecasts are the functions of the basis, at any horizon", arguments: FunctionalBasis.allCases)
  func horizons(basis: FunctionalBasis) throws {
    let quantiles = [0.1, 0.5, 0.9]
    let short = try Model(
      Self.configuration(
        season: 24, context: 9, horizon: 5, basis: basis, functions: 12, quantiles: quantiles),
      batch: 2)
    let long = try Model(
      Self.configuration(
        season: 24, context: 9, horizon: 12, basis: basis, functions: 12, quantiles: quantiles),
      batch: 2)
    #expect(short.layout.count == long.layout.count)
    let parameters = short.start()
    for (k, number) in [0.3, -1, 0.4, 2, -0.6, 1, 0.1, 0.7, -0.2].enumerated() {
      for model in [short, long] {
        let inputs = [number, 1, -number * number, 1]
        for (place, value) in inputs.enumerated() {
          model.execution.input(model.input)[4 * k + place] = value
        }
      }
    }
    // Each function alone: a decoder of one coefficient.
    let decoder = try #require(short.layout.tensors.first { $0.name == "decoder.weight" })
    for k in 0..<12 {
      for i in 0..<decoder.count {
        parameters[decoder.offset + i] = i == 12 + k ? 1 : 0
      }
      for (model, horizon) in [(short, 5), (long, 12)] {
        _ = model.evaluate(parameters)
        let values = (0..<horizon).map {
          basis.values(12, at: 2 * Double($0 + 1) / 12 - 1)[k]
        }
        for b in 0..<2 {
          let found = (0..<horizon).map {
            model.execution.value(model.raw)[(b * horizon + $0) * 3 + 1]
          }
          // Up to the coefficient, the first number of the last state.
          let size = found.reduce(0) { $0 + $1 * $1 }
          let along = zip(found, values).reduce(0) { $0 + $1.0 * $1.1 }
          let coefficient = along / values.reduce(0) { $0 + $1 * $1 }
          #expect(size > 0)
          expectClose(found, values.map { $0 * coefficient }, absolute: 1e-12)
        }
      }
    }
  }

  @Test("training forecasts the last horizons of the window from what was before each")
  func parallelTargets() throws {
    var configuration = Self.configuration(
      season: 24, context: 13, horizon: 5, quantiles: [0.1, 0.5, 0.9])
    configuration.seasonality = [1]
    var layout = ParameterLayout()
    let model: any WindowModel<Double> = FlowStateArchitecture.makeModel(
      configuration, inputs: 2, layout: &layout)
    let head = QuantileHead<Double>(configuration, layout: &layout)
    let parameters = Buffer<Double>(layout.count)
    var stream = RandomStream(seed: 3, purpose: "initialisation")
    model.initialize(parameters, using: &stream)
    head.initialize(parameters)
    var random = SeededGenerator(seed: 8)
    for k in 0..<parameters.count { parameters[k] += random.normal() * 0.1 }
    let B = 3
    var numbers = random.normals(13 * B * 2)
    for k in 0..<(13 * B) { numbers[2 * k + 1] = 1 }
    // A gap: a target that is not known.
    (numbers[(9 * B + 1) * 2], numbers[(9 * B + 1) * 2 + 1]) = (0, 0)
    for recompute in [false, true] {
      let graph = Graph<Double>()
      let x = graph.input([13, B, 2])
      let trained = model.applyForTraining(to: x, head: head, recompute: recompute)
      let inner = try #require(trained.inner)
      #expect(inner.quantiles.shape == [B, 10, 3])
      for tensor in [trained.raw, inner.quantiles, inner.targets] { graph.keep(tensor) }
      let execution = Execution(Plan(graph))
      execution.input(x).update(from: numbers, count: numbers.count)
      execution.forward(parameters: parameters.base, training: true)
      for (origin, end) in [3, 8].enumerated() {
        // The forecast from a window that ends there.
        let other = Graph<Double>()
        let part = other.input([end, B, 2])
        let last = other.input([B, 5, 1])
        let quantiles = head.quantiles(of: model.apply(to: part), starts: last)
        other.keep(quantiles)
        let shorter = Execution(Plan(other))
        shorter.input(part).update(from: numbers, count: end * B * 2)
        for b in 0..<B {
          for h in 0..<5 { shorter.input(last)[b * 5 + h] = numbers[((end - 1) * B + b) * 2] }
        }
        shorter.forward(parameters: parameters.base)
        for b in 0..<B {
          for h in 0..<5 {
            let at = b * 10 + origin * 5 + h
            expectClose(
              (0..<3).map { execution.value(inner.quantiles)[at * 3 + $0] },
              (0..<3).map { shorter.value(quantiles)[(b * 5 + h) * 3 + $0] }, absolute: 1e-12)
            let target = execution.value(inner.targets)[at]
            let value = numbers[((end + h) * B + b) * 2]
            #expect(end + h == 9 && b == 1 ? target.isNaN : target == value)
          }
        }
      }
    }
  }

  @Test("a model trained on hours forecasts half hours and two hours")
  func sampling() throws {
    let hours = try Model(
      Self.configuration(season: 24, context: 48, horizon: 12, quantiles: [0.5]), batch: 24)
    let parameters = hours.start()
    let gradient = Buffer<Double>(hours.layout.count)
    let (first, second) = (Buffer<Double>(gradient.count), Buffer<Double>(gradient.count))
    var rule = OptimiserStep(.adam, rate: 0)
    (rule.beta1, rule.beta2, rule.epsilon) = (0.9, 0.99, 1e-8)
    hours.fill(scale: 1, seed: 999)
    let before = hours.evaluate(parameters)
    for step in 1...400 {
      hours.fill(scale: 1, seed: UInt64(step))
      hours.execution.forward(parameters: parameters.base)
      gradient.zero()
      hours.execution.backward(into: gradient.base)
      rule.rate = 2e-3 * (1 - Double(step) / 420) / (1 - pow(0.9, Double(step)))
      rule.correction = 1 - pow(0.99, Double(step))
      Double.optimise(rule, gradient.count, parameters.base, gradient.base, first.base, second.base)
    }
    hours.fill(scale: 1, seed: 999)
    let trained = hours.evaluate(parameters)
    #expect(trained < 0.1 * before, "\(trained) of \(before)")
    for (season, scale) in [(48, 0.5), (12, 2.0)] {
      let other = try Model(
        Self.configuration(
          season: season, context: 2 * season, horizon: season / 2, quantiles: [0.5]), batch: 24)
      #expect(other.layout.count == hours.layout.count)
      other.fill(scale: scale, seed: 999)
      let resampled = other.evaluate(parameters)
      // Without the change of scale the same inputs are a signal of other frequencies.
      let mistaken = try Model(
        Self.configuration(
          season: 24, context: 2 * season, horizon: min(12, season / 2), quantiles: [0.5]),
        batch: 24)
      mistaken.fill(scale: scale, seed: 999)
      let wrong = mistaken.evaluate(parameters)
      #expect(resampled < 0.25 * before, "season \(season): \(resampled) of \(before)")
      #expect(resampled < 0.4 * wrong, "season \(season): \(resampled), unscaled \(wrong)")
    }
  }
}
