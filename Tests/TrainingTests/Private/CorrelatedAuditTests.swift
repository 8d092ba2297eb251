import Forecasters
import Foundation
import NumericsCore
import Privacy
import TestSupport
import Testing
import Training

/// The audit of training with correlated noise: of one that is right, and of broken ones. Coins and noise are the same in
/// every run of these tests.
@Suite("Privacy audit of correlated noise")
struct CorrelatedAuditTests {
  /// 200 units in batches of 20: each takes part every tenth step.
  static let training = PrivateAuditTests.training
  static let expected = 20.0

  static func audit(
    epsilon: Double = 4, canaries: Int? = 1000, steps: Int? = nil, bands: Int? = 8,
    stages: PrivateStages = PrivateAuditTests.stages(),
    _ change: (inout PrivacyConfiguration) -> Void = { _ in }
  ) throws -> PrivateAudit {
    var privacy = PrivacyConfiguration(
      mechanism: .correlated, epsilon: epsilon, delta: 1e-5, units: 200,
      clippingNorm: PrivateAuditTests.clippingNorm, bands: bands)
    change(&privacy)
    return try PrivateTrainer(training, privacy: privacy).audit(
      PrivateAuditTests.configuration, canaries: canaries, steps: steps, stages: stages)
  }

  private static func wrong(_ audit: PrivateAudit) -> [PrivateAudit.Finding.Name] {
    PrivateAuditTests.wrong(audit)
  }

  private static func detail(
    _ name: PrivateAudit.Finding.Name, _ audit: PrivateAudit
  ) -> String { audit.findings.first { $0.name == name }?.detail ?? "" }

  @Test(
    "a right training stays under its claim, and the bounds say something",
    arguments: [(1, PrivateClipping.flat, 1), (4, .automatic, 8), (4, .flat, 32), (8, .flat, 4)])
  func right(epsilon: Double, clipping: PrivateClipping, bands: Int) throws {
    let audit = try Self.audit(epsilon: epsilon, bands: bands) { $0.clipping = clipping }
    #expect(audit.isConsistent, "\(audit)")
    #expect(audit.findings.map(\.name) == [.participation, .noise, .sensitivity, .postProcessing])
    #expect(audit.bound.epsilon <= epsilon && audit.curveBound <= epsilon)
    // At a small claim a thousand canaries may show nothing.
    if epsilon >= 4 {
      #expect(max(audit.bound.epsilon, audit.curveBound) > 0.3 * epsilon, "\(audit)")
    }
    #expect(audit.claim.mechanism == .correlated && audit.claim.samplingRate == nil)
    #expect(audit.claim.cycle == 10 && audit.claim.bands == bands)
    #expect(audit.claim.epsilon <= epsilon && audit.claim.epsilon > 0.99 * epsilon)
    #expect(Self.detail(.participation, audit) == "a unit takes part 6 times, 10 steps apart")
  }

  @Test("no false alarm with other coins, units and noise")
  func manyTimes() throws {
    for key in 2...7 {
      let unit = PrivacyUnit.allCases[key % 3]
      let stages = PrivateAuditTests.stages(key: UInt32(key))
      let audit = try Self.audit(canaries: 200, bands: nil, stages: stages) {
        $0.unit = unit
        $0.blockLength = unit == .block ? 30 : nil
        $0.units = 90 * key
      }
      #expect(audit.isConsistent, "\(audit)")
    }
  }

  @Test("fewer steps are audited against what these claim: less than a cycle, too")
  func steps() throws {
    let whole = try Self.audit(canaries: 100)
    for steps in [1, 7, 25] {
      let audit = try Self.audit(canaries: 100, steps: steps)
      #expect(audit.claim.steps == steps)
      #expect(audit.claim.noiseMultiplier == whole.claim.noiseMultiplier)
      #expect(audit.claim.epsilon < whole.claim.epsilon && audit.claim.epsilon > 0)
      let mechanism = try CorrelatedGaussian(
        steps: steps, cycle: 10, bands: 8, noiseMultiplier: audit.claim.noiseMultiplier)
      expectClose(
        audit.claim.epsilon, try mechanism.accountant.epsilon(atDelta: 1e-5), relative: 1e-6)
      #expect(audit.isConsistent, "\(audit)")
    }
  }

  // MARK: Mutations

  /// What a broken stage remembers of the steps before.
  private final class Memory: @unchecked Sendable {  // one thread
    var rows = ToeplitzRows([1])
    var noises: [[Double]] = []
  }

  /// Noise as it should be, of which `change` makes another one. What it is given is the noise of this step and the
  /// independent one that it was mixed from.
  private static func noise(
    bands: Int = 8,
    _ change: @escaping @Sendable (_ noise: [Double], _ independent: [Double]) -> [Double]
  ) throws -> PrivateStages {
    let memory = Memory()
    memory.rows = ToeplitzRows(
      try BandedToeplitz.squareRoot(bands: bands).coefficients)
    return PrivateAuditTests.stages {
      $0.release = { sum, contributions, next in
        let plain = (0..<sum.coordinates).map { sum.value($0) / expected }
        let noisy = try next(contributions)
        let noise = zip(noisy.array, plain).map { Double($0) - $1 }
        let changed = change(noise, memory.rows.next(noise))
        return Buffer(zip(plain, changed).map { Float($0 + $1) })
      }
    }
  }

  /// Correlates independent noise by other coefficients, newest first.
  private static func mixed(_ coefficients: [Double], bands: Int = 8) throws -> PrivateStages {
    let memory = Memory()
    return try noise(bands: bands) { _, independent in
      var noise = independent
      for (coefficient, earlier) in zip(coefficients.dropFirst(), memory.noises) {
        for k in noise.indices { noise[k] -= coefficient * earlier[k] }
      }
      for k in noise.indices { noise[k] /= coefficients[0] }
      memory.noises.insert(noise, at: 0)
      return noise
    }
  }

  @Test("mutation: the noise is off", arguments: [1.0, 4, 8])
  func noiseOff(epsilon: Double) throws {
    let stages = try Self.noise { noise, _ in noise.map { _ in 0 } }
    let audit = try Self.audit(epsilon: epsilon, stages: stages)
    #expect(audit.isRefuted && audit.bound.epsilon > 4 && audit.curveBound > epsilon, "\(audit)")
    #expect(Self.wrong(audit) == [.noise])
  }

  @Test("mutation: a fifth of the noise, and all but a tenth of it")
  func noiseScaled() throws {
    let little = try Self.audit(stages: Self.noise { noise, _ in noise.map { $0 / 5 } })
    #expect(little.isRefuted && little.curveBound > 4, "\(little)")
    #expect(Self.wrong(little) == [.noise])
    let most = try Self.audit(stages: Self.noise { noise, _ in noise.map { 0.9 * $0 } })
    #expect(Self.wrong(most) == [.noise], "\(most)")
    #expect(!most.isRefuted && Self.detail(.noise, most).hasPrefix("0.9"))
  }

  @Test("the right coefficients are no mutation: what is taken apart is put together again")
  func rightlyMixed() throws {
    let coefficients = try BandedToeplitz.squareRoot(bands: 8).coefficients
    let audit = try Self.audit(stages: Self.mixed(coefficients))
    #expect(audit.isConsistent, "\(audit)")
  }

  @Test("mutation: independent noise where correlated one was promised")
  func independent() throws {
    let audit = try Self.audit(stages: Self.mixed([1]))
    #expect(Self.wrong(audit) == [.noise], "\(audit)")
    // As large as the correlated noise in each single step.
    let large = try BandedToeplitz.squareRoot(bands: 8).inverse(count: 60)
      .reduce(0) { $0 + $1 * $1 }.squareRoot()
    let sameSize = try Self.audit(stages: Self.mixed([1 / large]))
    #expect(Self.wrong(sameSize) == [.noise], "\(sameSize)")
    #expect(Self.detail(.noise, sameSize).contains("apart has a correlation of"))
  }

  @Test("mutation: one wrong coefficient", arguments: [1, 2, 7])
  func wrongCoefficient(place: Int) throws {
    var coefficients = try BandedToeplitz.squareRoot(bands: 8).coefficients
    coefficients[place] = place == 1 ? 0.4 : coefficients[place] - 0.1
    let audit = try Self.audit(stages: Self.mixed(coefficients))
    #expect(Self.wrong(audit) == [.noise], "\(audit)")
    #expect(
      Self.detail(.noise, audit).contains("steps \(place) apart has a correlation of"), "\(audit)")
  }

  @Test("mutation: noise cancels that of the step before, as in a tree that is not there")
  func cancelled() throws {
    let audit = try Self.audit(stages: Self.mixed(Array(repeating: 1, count: 60)))
    #expect(Self.wrong(audit) == [.noise], "\(audit)")
  }

  @Test("mutation: clipping is skipped for one parameter, large or small")
  func clippingSkipped() throws {
    let layout = try ForecastNetwork<Float>(PrivateAuditTests.configuration).layout
    let largest = try #require(layout.tensors.max { $0.count < $1.count })
    let smallest = try #require(layout.tensors.min { $0.count < $1.count })
    for tensor in [largest, smallest] {
      let range = tensor.offset..<tensor.offset + tensor.count
      let stages = PrivateAuditTests.sparing { range.contains($0) }
      let audit = try Self.audit(steps: 15, stages: stages)
      #expect(Self.wrong(audit) == [.sensitivity], "\(audit)")
      #expect(Self.detail(.sensitivity, audit).contains(tensor.name), "\(audit)")
      if tensor.name == largest.name { #expect(audit.isRefuted, "\(audit)") }
    }
  }

  @Test("mutation: a unit takes part twice in a cycle")
  func twice() throws {
    // The batch of one step is drawn again in the next one: everybody counts double.
    let last = Last()
    let audit = try Self.audit(
      stages: PrivateAuditTests.stages {
        $0.draw = { _, next in
          let batch = try next()
          defer { last.batch = batch }
          return batch + last.batch
        }
      })
    #expect(Self.wrong(audit) == [.participation], "\(audit)")
    #expect(
      Self.detail(.participation, audit)
        == "a unit takes part 12 times, 1 step apart where 6 times, 10 steps apart are accounted for"
    )
    #expect(audit.isRefuted && audit.curveBound > 4, "\(audit)")
    // One unit of the panel alone, in the step after its turn: guesses cannot see it.
    let one = try Self.audit(
      canaries: 100,
      stages: PrivateAuditTests.stages {
        let last = Last()
        $0.draw = { _, next in
          let batch = try next()
          defer { last.batch = batch.filter { $0 == 5 } }
          return batch + last.batch
        }
      })
    #expect(Self.wrong(one) == [.participation] && !one.isRefuted, "\(one)")
  }

  private final class Last: @unchecked Sendable {  // one thread
    var batch: [Int] = []
  }

  @Test("mutation: turns by the place in the data, which others change")
  func turnsOfOthers() throws {
    let audit = try Self.audit(
      canaries: 100,
      stages: PrivateAuditTests.stages {
        $0.phases = { units, cycle in units.phases(cycle: cycle).indices.map { $0 % cycle } }
      })
    #expect(Self.wrong(audit) == [.participation], "\(audit)")
    #expect(Self.detail(.participation, audit).contains("its turn changes with other units"))
  }

  @Test("mutation: the optimiser is given the gradients without noise")
  func inert() throws {
    let plain = Plain()
    let audit = try Self.audit(
      canaries: 100, steps: 20,
      stages: PrivateAuditTests.stages {
        $0.release = { sum, contributions, next in
          plain.gradient = Buffer(
            (0..<sum.coordinates).map { Float(sum.value($0) / Self.expected) })
          return try next(contributions)
        }
        $0.apply = { optimiser, parameters, _, rate in
          optimiser.step(parameters, plain.gradient, rate: rate)
        }
      })
    #expect(Self.wrong(audit) == [.postProcessing], "\(audit)")
  }

  private final class Plain: @unchecked Sendable {  // one thread
    var gradient = Buffer<Float>(0)
  }
}
