import ForecastService
import Foundation
import Privacy
import TestSupport
import Testing

@Suite("Amounts of epsilon")
struct EpsilonAmountTests {
  @Test(
    "a computed epsilon is booked to twelve decimals, upwards",
    arguments: [
      (0.3, "0.3"),  // the double is below 0.3
      (0.1, "0.100000000001"),  // the double is above 0.1
      (1, "1"), (1.5, "1.5"), (0, "0"), (.leastNonzeroMagnitude, "0.000000000001"),
      (1e-300, "0.000000000001"), (1e-12.nextDown, "0.000000000001"),
      (2e-12.nextUp, "0.000000000003"),
      (1e6 / 3, "333333.333333333314"), (9e14, "900000000000000"),
      (1e15.nextDown, "999999999999999.875"),
    ] as [(Double, String)])
  func roundsUp(epsilon: Double, text: String) {
    #expect(EpsilonAmount(roundingUp: epsilon)?.description == text)
  }

  @Test(
    "what cannot be booked is none",
    arguments: [-1, -.leastNonzeroMagnitude, .nan, .infinity, 1e15, 1e300])
  func refused(epsilon: Double) {
    #expect(EpsilonAmount(roundingUp: epsilon) == nil)
  }

  @Test("booking is never below the number and never a whole unit above")
  func bounds() throws {
    var random = SeededGenerator(seed: 11)
    for _ in 0..<2000 {
      // value = significand 2^-shift, so both sides compare as integers.
      let significand = Int128(random.next() >> 11) + 1
      let shift = Int.random(in: 10...70, using: &random)
      let value = Double(significand) * exp2(-Double(shift))
      let quanta = try #require(EpsilonAmount(roundingUp: value)).quanta
      let exact = significand * 1_000_000_000_000
      #expect(quanta << shift >= exact, "\(value)")
      #expect((quanta - 1) << shift < exact, "\(value)")
    }
  }

  @Test(
    "text is read as it is written",
    arguments: ["0.3", "0", "12.000000000001", "999999999999999", "-0.5"])
  func text(text: String) {
    #expect(EpsilonAmount(text)?.description == text)
  }

  @Test(
    "other text is refused", arguments: ["", ".", "1e3", "0.0000000000001", "1,5", "NaN", "--1"])
  func badText(text: String) {
    #expect(EpsilonAmount(text) == nil)
  }
}

@Suite("What charges come to together")
struct PrivacyCompositionTests {
  private func training(_ rate: Double, _ noise: Double, _ steps: Int) throws -> PrivacyMechanism {
    try .training(samplingRate: rate, noiseMultiplier: noise, steps: steps)
  }

  @Test("charges of one kind are the steps of all of them, and far less than the sum of epsilons")
  func oneKind() throws {
    var all = PrivacyComposition()
    for _ in 1...10 { try all.add(training(0.01, 1, 1000)) }
    let direct = try PrivacyLossAccountant(
      SubsampledGaussian(samplingRate: 0.01, noiseMultiplier: 1), steps: 10_000
    ).epsilon(atDelta: 1e-6)
    let found = try #require(try all.epsilon(atDelta: 1e-6))
    #expect(found == EpsilonAmount(roundingUp: direct))
    // 6.9075 is the reference of docs/privacy.md's sample; ten times 2.1245 would be 21.
    expectClose(found.value, 6.9075, relative: 3e-4)
  }

  @Test("the order of charges does not matter")
  func order() throws {
    let parts = try [training(0.01, 1, 300), training(0.02, 1.3, 200), training(1, 20, 5)]
    var (up, down) = (PrivacyComposition(), PrivacyComposition())
    for part in parts { try up.add(part) }
    for part in parts.reversed() { try down.add(part) }
    #expect(try up.epsilon(atDelta: 1e-6) == down.epsilon(atDelta: 1e-6))
  }

  @Test("releases add up exactly, and their delta is taken from that of the training")
  func releases() throws {
    var all = PrivacyComposition()
    try all.add(.release(epsilon: 0.3, delta: 0), times: 3)
    #expect(try all.epsilon(atDelta: 1e-6)?.description == "0.9")
    var mixed = all
    try mixed.add(training(0.01, 1, 1000))
    var single = PrivacyComposition()
    try single.add(training(0.01, 1, 1000))
    let alone = try #require(try single.epsilon(atDelta: 1e-6))
    #expect(try mixed.epsilon(atDelta: 1e-6)?.quanta == alone.quanta + 900_000_000_000)
    try mixed.add(.release(epsilon: 0.1, delta: 5e-7))
    let less = try #require(try single.epsilon(atDelta: 5e-7))
    let found = try #require(try mixed.epsilon(atDelta: 1e-6))
    // Just above: delta is rounded down, 0.1 up.
    #expect(found.quanta >= less.quanta + 1_000_000_000_001)
    expectClose(found.value, less.value + 1, relative: 1e-6)
    try mixed.add(.release(epsilon: 0.1, delta: 5e-7))
    #expect(try mixed.epsilon(atDelta: 1e-6) == nil, "delta is used up")
  }

  @Test(
    "many different parameters cost little more than they must, and never less",
    arguments: [25, 60])
  func merged(kinds: Int) throws {
    var all = PrivacyComposition()
    var exact = PrivacyLossAccountant()
    for index in 0..<kinds {
      let rate = 0.01 * (1 + 0.002 * Double(index))
      let noise = 1.5 + Double(index * 37 % 101) / 500
      try all.add(training(rate, noise, 20))
      try exact.compose(SubsampledGaussian(samplingRate: rate, noiseMultiplier: noise), steps: 20)
    }
    let truth = try exact.epsilon(atDelta: 1e-6)
    let found = try #require(try all.epsilon(atDelta: 1e-6))
    #expect(found.value >= truth)
    #expect(found.value <= truth * 1.05, "\(found) for \(truth)")
  }

  @Test(
    "impossible parameters make no mechanism",
    arguments: [
      (0, 1, 1), (-0.1, 1, 1), (1.1, 1, 1), (.nan, 1, 1), (0.1, 0, 1), (0.1, -1, 1),
      (0.1, .infinity, 1), (0.1, .nan, 1), (0.1, 1, 0), (0.1, 1, -1), (0.1, 1, 1_000_000_000_001),
    ] as [(Double, Double, Int)])
  func bad(rate: Double, noise: Double, steps: Int) {
    let error = #expect(throws: ServiceError.self) { try training(rate, noise, steps) }
    #expect(error?.code == .badArgument)
  }
}
