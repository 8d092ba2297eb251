import ForecastService
import Foundation
import Privacy
import Synchronization
import TestSupport
import Testing
import Training

/// The audit of noise on inputs: of one that is right, and of broken ones. Coins and noise are the same in every run of
/// these tests.
// One after another: tests that wait for servers and programs need the other threads.
@Suite("Privacy audit of noise on inputs", .serialized)
struct InputAuditTests {
  private static func job(
    _ privacy: String?, frequency: String = "1 hour", zone: String = "UTC"
  ) throws -> JobDefinition {
    try JobFileParser.parse(
      """
      job: audited
      timezone: \(zone)
      source: {query: "SELECT series, ts, value AS y FROM t WHERE ts <= :cutoff", frequency: \(frequency)}
      horizon: 3
      contextLength: 12
      model: {kind: lstm, hidden: 8, layers: 1}
      training: {steps: 12, batch: 10}
      \(privacy.map { "privacy: {\($0)}" } ?? "")
      """, file: "audited.yaml"
    ).definition
  }

  private static func audit(
    epsilon: Double = 4, sensitivity: Double = 3, slots: Int = 60, history: Int = 25,
    canaries: Int? = 1000, steps: Int? = nil, frequency: String = "1 hour",
    zone: String = "Europe/Paris", key: UInt32 = 1,
    _ change: (inout PrivateInputStages) -> Void = { _ in }
  ) throws -> PrivateAudit {
    let definition = try job(
      """
      mechanism: inputs, budget: a, epsilon: \(epsilon), delta: 1e-5, sensitivity: \(sensitivity), slots: \(slots), \
      history: \(min(slots, history))
      """, frequency: frequency, zone: zone)
    var audit = InputAudit(
      grid: definition.grid, inputs: try #require(definition.privacy?.inputs))
    let streams = Atomic(UInt32(0))
    audit.random = {
      let number = streams.add(1, ordering: .relaxed).newValue
      return SecureRandom(
        fixedKey: SIMD8(7, 6, 5, 4, 3, 2, 1, 0) &+ (key &* 7919 &+ number &* 104_729))
    }
    change(&audit.stages)
    return try audit.run(canaries: canaries, steps: steps)
  }

  private static func wrong(_ audit: PrivateAudit) -> [PrivateAudit.Finding.Name] {
    audit.findings.filter { !$0.isRight }.map(\.name)
  }

  private static func detail(
    _ name: PrivateAudit.Finding.Name, _ audit: PrivateAudit
  ) -> String { audit.findings.first { $0.name == name }?.detail ?? "" }

  @Test("right noise stays under its claim, and the bounds say something", arguments: [1.0, 4, 8])
  func right(epsilon: Double) throws {
    let audit = try Self.audit(epsilon: epsilon)
    #expect(audit.isConsistent, "\(audit)")
    #expect(audit.findings.map(\.name) == [.releases, .noise, .rounding, .sensitivity])
    #expect(audit.bound.epsilon <= epsilon && audit.curveBound <= epsilon)
    // At a small claim a thousand canaries may show nothing.
    if epsilon >= 4 {
      #expect(max(audit.bound.epsilon, audit.curveBound) > 0.3 * epsilon, "\(audit)")
    }
    #expect(audit.claim.mechanism == .inputs && audit.claim.unit == "person")
    #expect(audit.claim.epsilon <= epsilon && audit.claim.epsilon > 0.99 * epsilon)
    #expect(audit.claim.steps == 60 && audit.claim.samplingRate == nil)
    #expect(Self.detail(.releases, audit) == "60 slots, each charged and released once")
    #expect(Self.detail(.rounding, audit) == "60000 values on the grid of the noise")
    #expect(Self.detail(.sensitivity, audit).contains("at most 1 times the declared"))
  }

  @Test("no false alarm with other coins, grids and sizes")
  func manyTimes() throws {
    let grids = [
      ("1 day", "UTC"), ("30 minutes", "America/New_York"), ("1 month", "UTC"), ("integer", "UTC"),
      // The zone left out 30 December 2011; weeks and days begin in its local time.
      ("1 day", "Pacific/Apia"), ("1 week", "Europe/Paris"),
    ]
    for (key, (frequency, zone)) in grids.enumerated() {
      let audit = try Self.audit(
        sensitivity: [1e-3, 1, 2.0.squareRoot(), 1e6][key % 4], slots: 3 + 20 * key,
        history: 1 + 7 * key, canaries: 200, frequency: frequency, zone: zone,
        key: UInt32(key + 2))
      #expect(audit.isConsistent, "\(frequency) \(audit)")
    }
  }

  @Test("fewer slots are audited against what these claim")
  func steps() throws {
    let audit = try Self.audit(canaries: 100, steps: 1)
    let whole = try InputPerturbation(sensitivity: 3, slots: 60, epsilon: 4, delta: 1e-5)
    let one = try InputPerturbation(sensitivity: 3, slots: 1, deviation: whole.deviation)
    #expect(audit.claim.steps == 1)
    #expect(try audit.claim.epsilon == one.epsilon(atDelta: 1e-5))
    #expect(audit.isConsistent, "\(audit)")
  }

  @Test("what cannot be audited is refused")
  func refused() {
    func message(_ canaries: Int?, _ steps: Int?, slots: Int = 60) -> String {
      do {
        _ = try Self.audit(slots: slots, canaries: canaries, steps: steps)
        return "nothing"
      } catch {
        return "\(error)"
      }
    }
    #expect(message(3, nil).contains("canaries is 3, expected 10 to 1048576"))
    #expect(message(nil, 0).contains("steps is 0, expected 1 to 60, the slots"))
    #expect(message(nil, 61).contains("steps is 61"))
    #expect(message(nil, nil, slots: 10_000_000).contains("expected fewer of either"))
  }

  @Test("a job of each mechanism is audited, one without privacy is not")
  func mechanisms() throws {
    let training = "budget: a, epsilon: 4, delta: 1e-4, units: 100"
    for (section, mechanism) in [
      (training, PrivateAudit.Claim.Mechanism.gradients),
      ("mechanism: correlated, \(training)", .correlated),
      (
        "mechanism: inputs, budget: a, epsilon: 4, delta: 1e-4, sensitivity: 1, slots: 10", .inputs
      ),
    ] {
      let audit = try JobAudit(Self.job(section)).run(canaries: 50, confidence: 0.999)
      #expect(audit.isConsistent && audit.claim.mechanism == mechanism, "\(audit)")
      #expect(audit.claim.steps == (mechanism == .inputs ? 10 : 12))
      #expect(audit.canaries == 50 && audit.claim.delta == 1e-4)
    }
    do {
      _ = try JobAudit(Self.job(nil)).run()
      Issue.record("audited")
    } catch {
      #expect("\(error)".contains("job audited has no privacy section"), "\(error)")
    }
  }

  // MARK: Mutations

  /// Noise as it should be, of which `change` makes another one, slot by slot and canary by canary.
  private static func noise(
    _ change: @escaping @Sendable (_ noise: Double, _ slot: Int, _ canary: Int) -> Double
  ) -> (inout PrivateInputStages) -> Void {
    { stages in
      stages.perturb = { cells, mechanism, random in
        let noisy = try cells.perturbed(mechanism, random)
        let first = cells.slots.first ?? 0
        return cells.with(
          values: cells.values.indices.map { cell in
            let value = cells.values[cell]
            let slot = Int(cells.slots[cell] - first)
            let changed = change(noisy.values[cell] - value, slot, cell % 1000)
            // To the grid again, that nothing else is wrong.
            return (((value + changed) / mechanism.step).rounded() + 0.5) * mechanism.step
          })
      }
    }
  }

  @Test("mutation: the noise is off", arguments: [1.0, 4, 8])
  func noiseOff(epsilon: Double) throws {
    let audit = try Self.audit(epsilon: epsilon, Self.noise { _, _, _ in 0 })
    #expect(audit.isRefuted && audit.bound.epsilon > 4 && audit.curveBound > epsilon, "\(audit)")
    #expect(Self.wrong(audit) == [.noise])
  }

  @Test("mutation: half of the noise, and all but a tenth of it")
  func noiseScaled() throws {
    let half = try Self.audit(Self.noise { noise, _, _ in noise / 2 })
    #expect(half.isRefuted && half.curveBound > 4 && Self.wrong(half) == [.noise], "\(half)")
    let most = try Self.audit(Self.noise { noise, _, _ in 0.9 * noise })
    #expect(!most.isRefuted && Self.wrong(most) == [.noise], "\(most)")
    #expect(Self.detail(.noise, most).hasPrefix("0.89"), "\(most)")
  }

  @Test("mutation: one slot has a fifth of the noise")
  func noiseScaledOnce() throws {
    let audit = try Self.audit(Self.noise { noise, slot, _ in slot == 7 ? noise / 5 : noise })
    #expect(Self.wrong(audit) == [.noise], "\(audit)")
    #expect(Self.detail(.noise, audit).contains("; 0.2"), "\(audit)")
    #expect(Self.detail(.noise, audit).hasSuffix("times in slot 8"), "\(audit)")
  }

  private final class Memory: @unchecked Sendable {  // one thread
    var noises: [Double] = []
  }

  @Test(
    "mutation: the same noise for two slots, side by side or far apart", arguments: [1, 12, 20])
  func sameNoise(apart: Int) throws {
    let memory = Memory()
    let audit = try Self.audit(
      Self.noise { noise, slot, canary in
        if slot == 2 {
          if canary == 0 { memory.noises = [] }
          memory.noises.append(noise)
        }
        return slot == 2 + apart ? memory.noises[canary] : noise
      })
    #expect(Self.wrong(audit) == [.noise], "\(audit)")
    #expect(Self.detail(.noise, audit).contains("slots is that of another"), "\(audit)")
  }

  @Test("mutation: each run begins the same noise again")
  func sameRuns() throws {
    let audit = try Self.audit {
      $0.perturb = { cells, mechanism, _ in
        try cells.perturbed(mechanism, SecureRandom(fixedKey: SIMD8(repeating: 5)))
      }
    }
    #expect(Self.wrong(audit) == [.noise], "\(audit)")
  }

  @Test("mutation: one noise for all series of a slot")
  func sharedNoise() throws {
    let memory = Memory()
    let audit = try Self.audit(
      Self.noise { noise, _, canary in
        if canary == 0 { memory.noises = [noise] }
        return memory.noises[0]
      })
    #expect(Self.wrong(audit) == [.noise], "\(audit)")
  }

  @Test("mutation: noise of two slots is not independent, which no value tells by itself")
  func dependent() throws {
    let memory = Memory()
    let audit = try Self.audit(
      Self.noise { noise, slot, canary in
        if memory.noises.count < 1000 { memory.noises.append(noise) }
        defer { memory.noises[canary] = noise }
        return slot == 0 ? noise : 0.8 * noise + 0.6 * memory.noises[canary]
      })
    #expect(Self.wrong(audit) == [.noise], "\(audit)")
    #expect(Self.detail(.noise, audit).contains("slots 1 apart has a correlation of 0.4"))
  }

  @Test("mutation: a slot is drawn twice, as the next run takes the last closed one again")
  func drawnTwice() throws {
    let audit = try Self.audit {
      $0.plan = { slots, last in
        slots.release(through: last).map {
          PrivateSlots.Release(
            charged: $0.charged, read: $0.read.lowerBound - 1...$0.read.upperBound)
        }
      }
    }
    #expect(Self.wrong(audit) == [.releases], "\(audit)")
    #expect(Self.detail(.releases, audit).contains("2 released more than once"), "\(audit)")
  }

  @Test("mutation: every run releases all of its history again")
  func drawnAgain() throws {
    let audit = try Self.audit(slots: 12, history: 4) {
      $0.plan = { slots, last in
        PrivateSlots(history: slots.history).release(through: last)
      }
    }
    #expect(Self.wrong(audit).contains(.releases), "\(audit)")
    #expect(audit.isRefuted && audit.curveBound > 4, "\(audit)")
  }

  @Test("mutation: a run reads one slot more than it pays for")
  func unpaid() throws {
    let audit = try Self.audit {
      $0.plan = { slots, last in
        slots.release(through: last).map {
          PrivateSlots.Release(
            charged: $0.charged.dropLast().isEmpty
              ? $0.charged : $0.charged.lowerBound...$0.charged.upperBound - 1, read: $0.read)
        }
      }
    }
    #expect(Self.wrong(audit) == [.releases], "\(audit)")
    #expect(Self.detail(.releases, audit).contains("not charged"), "\(audit)")
  }

  @Test("mutation: noise in floating point, off the grid")
  func offGrid() throws {
    let audit = try Self.audit {
      $0.perturb = { cells, mechanism, random in
        let noisy = try cells.perturbed(mechanism, random)
        return cells.with(
          values: zip(cells.values, noisy.values).map { value, noisy in
            value + ((noisy - value) / mechanism.deviation * (1 + 1e-9)) * mechanism.deviation
          })
      }
    }
    #expect(Self.wrong(audit).contains(.rounding), "\(audit)")
    #expect(!Self.wrong(audit).contains(.noise))
  }

  @Test("mutation: a person counts twice as much as the noise is for")
  func sensitivity() throws {
    let audit = try Self.audit {
      $0.perturb = { cells, mechanism, random in
        // Doubled before the noise and halved after it, but for the noise.
        let double = cells.with(values: cells.values.map { 2 * $0 })
        return try double.perturbed(mechanism, random)
      }
    }
    #expect(Self.wrong(audit).contains(.sensitivity), "\(audit)")
    #expect(Self.detail(.sensitivity, audit).contains("at most 2 times"), "\(audit)")
  }
}
