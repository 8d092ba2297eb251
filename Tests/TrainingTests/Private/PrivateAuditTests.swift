import Forecasters
import Foundation
import NumericsCore
import Privacy
import Synchronization
import TestSupport
import Testing
import Training

/// The audit of private training: of one that is right, and of one broken in each of the ways that have been seen in
/// programs (docs/privacy.md, Audit). Coins, batches and noise are the same in every run of these tests.
@Suite("Privacy audit")
struct PrivateAuditTests {
  static let training = TrainingConfiguration(steps: 60, batch: 20, seed: 2, threads: 1)
  static let configuration = ForecasterConfiguration(
    hidden: 16, contextLength: 16, horizon: 4, quantiles: [0.1, 0.5, 0.9], seasonality: [4])
  static let rate = 0.2
  static let clippingNorm = 0.1
  static let expected = rate * 200

  static func stages(
    key: UInt32 = 1, _ change: (inout PrivateStages) -> Void = { _ in }
  ) -> PrivateStages {
    var stages = PrivateStages()
    let streams = Atomic(UInt32(0))
    stages.random = {
      let number = streams.add(1, ordering: .relaxed).newValue
      return SecureRandom(
        fixedKey: SIMD8(0, 1, 2, 3, 4, 5, 6, 7) &+ (key &* 7919 &+ number &* 104_729))
    }
    change(&stages)
    return stages
  }

  static func audit(
    epsilon: Double = 4, canaries: Int? = 1000, steps: Int? = nil, stages: PrivateStages = stages(),
    _ change: (inout PrivacyConfiguration) -> Void = { _ in }
  ) throws -> PrivateAudit {
    var privacy = PrivacyConfiguration(
      epsilon: epsilon, delta: 1e-5, units: 200, samplingRate: rate, clippingNorm: clippingNorm)
    change(&privacy)
    return try PrivateTrainer(training, privacy: privacy).audit(
      configuration, canaries: canaries, steps: steps, stages: stages)
  }

  static func wrong(_ audit: PrivateAudit) -> [PrivateAudit.Finding.Name] {
    audit.findings.filter { !$0.isRight }.map(\.name)
  }

  @Test(
    "a right training stays under its claim, and the bounds say something",
    arguments: [(1, PrivateClipping.flat), (4, .automatic), (4, .adaptive), (8, .flat)])
  func right(epsilon: Double, clipping: PrivateClipping) throws {
    let audit = try Self.audit(epsilon: epsilon) { $0.clipping = clipping }
    #expect(audit.isConsistent, "\(audit)")
    #expect(audit.findings.map(\.name) == [.sampling, .noise, .sensitivity, .postProcessing])
    #expect(audit.bound.epsilon <= epsilon && audit.curveBound <= epsilon)
    // At a small claim a thousand canaries hardly say anything.
    let least = epsilon < 4 ? 0 : 0.3 * epsilon
    #expect(max(audit.bound.epsilon, audit.curveBound) > least, "\(audit)")
    #expect(audit.canaries == 1000 && (400...600).contains(audit.included))
    #expect(audit.claim.epsilon <= epsilon && audit.claim.epsilon > 0.99 * epsilon)
  }

  @Test("no false alarm with other coins, units and noise")
  func manyTimes() throws {
    for key in 2...7 {
      let unit = PrivacyUnit.allCases[key % 3]
      let audit = try Self.audit(canaries: 200, stages: Self.stages(key: UInt32(key))) {
        $0.unit = unit
        $0.blockLength = unit == .block ? 30 : nil
      }
      #expect(audit.isConsistent, "\(audit)")
    }
  }

  @Test("fewer steps are audited against what these claim")
  func steps() throws {
    let privacy = PrivacyConfiguration(
      epsilon: 4, delta: 1e-5, units: 200, samplingRate: Self.rate)
    let trainer = PrivateTrainer(Self.training, privacy: privacy)
    let audit = try trainer.audit(Self.configuration, canaries: 100, steps: 1)
    let whole = try trainer.charge(Self.configuration)
    #expect(audit.claim.steps == 1 && audit.claim.noiseMultiplier == whole.noiseMultiplier)
    #expect(audit.claim.epsilon < 0.5 * whole.epsilon && audit.claim.epsilon > 0)
    #expect(Self.wrong(audit) == [], "\(audit)")
  }

  @Test("what cannot be audited is refused")
  func refused() {
    func message(_ canaries: Int?, _ steps: Int?, _ confidence: Double) -> String {
      let privacy = PrivacyConfiguration(epsilon: 4, delta: 1e-5, units: 200)
      do {
        _ = try PrivateTrainer(Self.training, privacy: privacy).audit(
          Self.configuration, canaries: canaries, steps: steps, confidence: confidence)
        return "nothing"
      } catch {
        return "\(error)"
      }
    }
    #expect(message(1_000_000, nil, 0.95).contains("a parameter of the model for itself"))
    #expect(message(3, nil, 0.95).contains("canaries is 3"))
    #expect(message(nil, 0, 0.95).contains("steps is 0, expected 1 to 60"))
    #expect(message(nil, 61, 0.95).contains("steps is 61"))
    #expect(message(nil, nil, 1).contains("confidence is 1"))
  }

  // MARK: Mutations

  /// What a broken stage remembers.
  private final class Memory: @unchecked Sendable {  // one thread
    var plain = Buffer<Float>(0)
    var order: [Int] = []
    var added = 0
    var random = SeededGenerator(seed: 3)
  }

  /// The sum without its noise, divided as the mean is.
  private static func plain(_ sum: PrivateSum) -> Buffer<Float> {
    Buffer((0..<sum.coordinates).map { Float(sum.value($0) / expected) })
  }

  /// The noise is made as it should be, and `combine` has the last word of what is passed on.
  private static func releasing(
    _ combine: @escaping @Sendable (_ plain: Float, _ noisy: Float) -> Float
  ) -> PrivateStages {
    stages {
      $0.release = { sum, contributions, next in
        let plain = plain(sum)
        let noisy = try next(contributions)
        return Buffer((0..<plain.count).map { combine(plain[$0], noisy[$0]) })
      }
    }
  }

  @Test("mutation: the noise is off", arguments: [1.0, 4, 8])
  func noiseOff(epsilon: Double) throws {
    let audit = try Self.audit(epsilon: epsilon, stages: Self.releasing { plain, _ in plain })
    #expect(audit.isRefuted && audit.bound.epsilon > 4 && audit.curveBound > epsilon, "\(audit)")
    #expect(Self.wrong(audit) == [.noise])
  }

  @Test("mutation: the noise is multiplied by the batch's share", arguments: [1.0, 4])
  func noiseScaled(epsilon: Double) throws {
    let share = Float(Self.rate)
    let audit = try Self.audit(
      epsilon: epsilon, stages: Self.releasing { $0 + share * ($1 - $0) })
    #expect(audit.isRefuted && audit.curveBound > epsilon, "\(audit)")
    #expect(Self.wrong(audit) == [.noise])
  }

  @Test("mutation: a tenth of the noise is missing, which guesses cannot see")
  func noiseScaledALittle() throws {
    let audit = try Self.audit(stages: Self.releasing { $0 + 0.9 * ($1 - $0) })
    #expect(Self.wrong(audit) == [.noise], "\(audit)")
  }

  @Test("mutation: the same noise in every step")
  func sameNoise() throws {
    let first = Memory()
    let audit = try Self.audit(
      stages: Self.stages {
        $0.release = { sum, contributions, next in
          let plain = Self.plain(sum)
          let noisy = try next(contributions)
          if first.plain.count == 0 {
            first.plain = Buffer((0..<plain.count).map { noisy[$0] - plain[$0] })
          }
          return Buffer((0..<plain.count).map { plain[$0] + first.plain[$0] })
        }
      })
    #expect(Self.wrong(audit) == [.noise], "\(audit)")
    #expect(audit.findings[1].detail.contains("steps 1 apart has a correlation of 1"))
  }

  @Test("mutation: the mean is taken over the batch that was drawn")
  func realisedBatch() throws {
    let audit = try Self.audit(
      stages: Self.stages {
        $0.release = { sum, contributions, next in
          let noisy = try next(contributions)
          let factor = Float(Self.expected / Double(contributions))
          return Buffer(noisy.array.map { $0 * factor })
        }
      })
    #expect(Self.wrong(audit).contains(.noise), "\(audit)")
  }

  /// Clipping that leaves out what `isSpared` says.
  static func sparing(_ isSpared: @escaping @Sendable (Int) -> Bool) -> PrivateStages {
    let memory = Memory()
    return stages {
      $0.draw = { _, next in
        memory.added = 0
        return try next()
      }
      $0.add = { gradient, lane in
        let rest = Buffer(gradient.array)
        let spared = Buffer<Float>(gradient.count)
        for k in 0..<gradient.count where isSpared(k) {
          (spared[k], rest[k]) = (gradient[k], 0)
        }
        lane.add(rest)
        memory.added += 1
        // In pieces that are short enough for the clipping not to touch them.
        let norm = Double(Float.sumOfSquares(spared.count, spared.base)).squareRoot()
        guard norm > 0, norm.isFinite else { return }
        let pieces = (norm / (0.9 * clippingNorm)).rounded(.up)
        for k in 0..<spared.count { spared[k] /= Float(pieces) }
        for _ in 0..<Int(pieces) { lane.add(spared) }
        memory.added += Int(pieces)
      }
      $0.release = { _, _, next in try next(memory.added) }
    }
  }

  @Test("mutation: clipping is skipped for one parameter, large or small")
  func clippingSkipped() throws {
    let layout = try ForecastNetwork<Float>(Self.configuration).layout
    let largest = try #require(layout.tensors.max { $0.count < $1.count })
    let smallest = try #require(layout.tensors.min { $0.count < $1.count })
    for tensor in [largest, smallest] {
      let range = tensor.offset..<tensor.offset + tensor.count
      let audit = try Self.audit(steps: 15, stages: Self.sparing { range.contains($0) })
      #expect(Self.wrong(audit) == [.sensitivity], "\(audit)")
      #expect(audit.findings[2].detail.contains(tensor.name), "\(audit.findings[2])")
      // Guesses see it where there are canaries enough.
      if tensor.name == largest.name { #expect(audit.isRefuted, "\(audit)") }
    }
  }

  @Test("mutation: each parameter is clipped by itself")
  func clippedApart() throws {
    let layout = try ForecastNetwork<Float>(Self.configuration).layout
    let memory = Memory()
    let audit = try Self.audit(
      steps: 15,
      stages: Self.stages {
        $0.draw = { _, next in
          memory.added = 0
          return try next()
        }
        $0.add = { gradient, lane in
          for tensor in layout.tensors {
            let part = Buffer<Float>(gradient.count)
            for k in tensor.offset..<tensor.offset + tensor.count { part[k] = gradient[k] }
            lane.add(part)
            memory.added += 1
          }
        }
        $0.release = { _, _, next in try next(memory.added) }
      })
    #expect(Self.wrong(audit) == [.sensitivity], "\(audit)")
  }

  @Test("mutation: shuffled batches of a fixed size, accounted for as Poisson")
  func shuffled() throws {
    let memory = Memory()
    let audit = try Self.audit(
      stages: Self.stages {
        $0.draw = { records, next in
          _ = try next()
          let size = Int(Double(records) * Self.rate)
          if memory.order.count < size {
            memory.order = Array(0..<records).shuffled(using: &memory.random)
          }
          defer { memory.order.removeFirst(size) }
          return Array(memory.order.prefix(size))
        }
      })
    #expect(Self.wrong(audit) == [.sampling], "\(audit)")
  }

  @Test("mutation: the optimiser is given the gradients without noise")
  func inert() throws {
    let memory = Memory()
    let audit = try Self.audit(
      stages: Self.stages {
        $0.release = { sum, contributions, next in
          memory.plain = Self.plain(sum)
          return try next(contributions)
        }
        $0.apply = { optimiser, parameters, _, rate in
          optimiser.step(parameters, memory.plain, rate: rate)
        }
      })
    #expect(Self.wrong(audit) == [.postProcessing], "\(audit)")
  }
}
