import Foundation
import Privacy
import TestSupport
import Testing

@Suite("The accountant by Rényi divergence")
struct RenyiAccountantTests {
  @Test("it equals two other implementations: Opacus at its orders, dp-accounting at whole orders")
  func reference() throws {
    // dp-accounting bounds fractional orders from above; Opacus computes them.
    let orders = (1..<100).map { 1 + Double($0) / 10 } + (12..<64).map(Double.init)
    for row in try PrivacyReference.all().flatMap(\.forward) {
      let mechanism = try SubsampledGaussian(samplingRate: row.q, noiseMultiplier: row.sigma)
      func epsilon(_ orders: [Double]) throws -> Double {
        var accountant = try RenyiAccountant(orders: orders)
        try accountant.compose(mechanism, steps: row.steps)
        return try accountant.epsilon(atDelta: row.delta)
      }
      if let expected = row.opacus_rdp_epsilon {
        expectClose(try epsilon(orders), expected, relative: 1e-6, "\(row.description)")
      }
      guard let expected = row.rdp_epsilon, let order = row.rdp_order else { continue }
      let found = try epsilon([order])
      #expect(found <= expected * (1 + 1e-6), "\(row.description)")
      if order == order.rounded() {
        expectClose(found, expected, relative: 1e-6, "\(row.description)")
      }
      // Our own orders are at most a little worse, and often better.
      let own = try AccountantKind.rdp.epsilon(of: mechanism, steps: row.steps, delta: row.delta)
      #expect(own <= expected * 1.01)
    }
  }

  @Test("at whole orders it equals the binomial sum (Mironov, Talwar & Zhang 2019)")
  func whole() throws {
    for q in [1e-5, 0.003, 0.2, 0.95] {
      for noise in [0.5, 1, 3, 30] {
        let mechanism = try SubsampledGaussian(samplingRate: q, noiseMultiplier: noise)
        for order in [2, 3, 7, 32, 100] {
          // The terms 0 and 1 of the binomial sum are 1 together with the lower parts of the others.
          var logTerms: [Double] = []
          for k in 2...order {
            let binomial =
              lgamma(Double(order + 1)) - lgamma(Double(k + 1)) - lgamma(Double(order - k + 1))
            let exponent = Double(k * (k - 1)) / (2 * noise * noise)
            let grown = exponent > 30 ? exponent : log(expm1(exponent))
            logTerms.append(
              binomial + Double(k) * log(q) + Double(order - k) * log1p(-q) + grown)
          }
          let peak = logTerms.max()!
          let more = peak + log(logTerms.reduce(0) { $0 + exp($1 - peak) })
          let logMoment = more > 30 ? more : log1p(exp(more))
          let expected = logMoment / Double(order - 1)
          let found = mechanism.renyiDivergence(order: Double(order))
          #expect(found >= expected * (1 - 1e-10), "q \(q), noise \(noise), order \(order)")
          expectClose(
            found, expected, relative: 1e-9, "q \(q), noise \(noise), order \(order)")
        }
      }
    }
  }

  @Test("divergence rises with the order, and is at most that without sub-sampling")
  func ordered() throws {
    for q in [1e-6, 0.01, 0.5] {
      for noise in [0.05, 0.3, 1, 20, 1000] {
        let mechanism = try SubsampledGaussian(samplingRate: q, noiseMultiplier: noise)
        let orders = RenyiAccountant.usualOrders
        let values = orders.map { mechanism.renyiDivergence(order: $0) }
        for i in 1..<values.count {
          #expect(
            values[i] >= values[i - 1] * (1 - 1e-9), "q \(q), noise \(noise), order \(orders[i])")
        }
        for (order, value) in zip(orders, values) {
          #expect(value >= 0 && value <= order / (2 * noise * noise) * (1 + 1e-12))
        }
      }
    }
  }

  @Test("composition adds, also with what was not sub-sampled")
  func composition() throws {
    let mechanism = try SubsampledGaussian(samplingRate: 0.01, noiseMultiplier: 1)
    var once = try RenyiAccountant()
    try once.compose(mechanism, steps: 700)
    var twice = try RenyiAccountant()
    try twice.compose(mechanism, steps: 300)
    var rest = try RenyiAccountant()
    try rest.compose(mechanism, steps: 400)
    try twice.compose(rest)
    expectClose(
      try twice.epsilon(atDelta: 1e-6), try once.epsilon(atDelta: 1e-6), relative: 1e-12)
    let gaussian = try GaussianAccountant(noiseMultiplier: 5, steps: 2)
    var mixed = once
    mixed.compose(gaussian)
    #expect(try mixed.epsilon(atDelta: 1e-6) > once.epsilon(atDelta: 1e-6))
    var alone = try RenyiAccountant()
    alone.compose(gaussian)
    let epsilon = try alone.epsilon(atDelta: 1e-6)
    #expect(try epsilon >= gaussian.epsilon(atDelta: 1e-6))
    #expect(try epsilon <= gaussian.epsilon(atDelta: 1e-6) * 1.15)
  }

  @Test("a small charge is not lost in a large account")
  func small() throws {
    var accountant = try RenyiAccountant(orders: [2])
    accountant.compose(try GaussianAccountant(noiseMultiplier: 1e-3, steps: 1))
    let before = accountant.divergences[0]
    accountant.compose(try GaussianAccountant(noiseMultiplier: 1e12, steps: 1))
    #expect(accountant.divergences[0] > before)
  }

  @Test("delta and epsilon belong together")
  func inverse() throws {
    var accountant = try RenyiAccountant()
    try accountant.compose(SubsampledGaussian(samplingRate: 0.02, noiseMultiplier: 1), steps: 500)
    let epsilon = try accountant.epsilon(atDelta: 1e-6)
    expectClose(try accountant.delta(atEpsilon: epsilon), 1e-6, relative: 1e-6)
  }

  @Test("orders have to be above 1 and rising, and the same")
  func refused() throws {
    for orders in [[], [1], [2, 2], [3, 2], [2, .infinity], [.nan]] as [[Double]] {
      #expect(throws: PrivacyError.self) { try RenyiAccountant(orders: orders) }
    }
    var one = try RenyiAccountant(orders: [2, 3])
    let other = try RenyiAccountant(orders: [2, 4])
    #expect(throws: PrivacyError.self) { try one.compose(other) }
  }
}
