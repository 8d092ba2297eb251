import Foundation
import Privacy
import TestSupport
import Testing

/// Statistics are of fixed keys: each either always passes or always fails. Bounds are chosen such that a correct
/// sampler fails with probability below 1e-6 per test over the choice of the key.
@Suite("Noise")
struct NoiseTests {
  private static let key = SIMD8<UInt32>(1, 2, 3, 4, 5, 6, 7, 8)

  @Test("the block function gives the values of RFC 8439, 2.3.2")
  func block() {
    let key = SIMD8<UInt32>(
      0x0302_0100, 0x0706_0504, 0x0b0a_0908, 0x0f0e_0d0c, 0x1312_1110, 0x1716_1514, 0x1b1a_1918,
      0x1f1e_1d1c)
    let cipher = ChaCha20(key: key, nonce: SIMD3(0x0900_0000, 0x4a00_0000, 0))
    #expect(
      cipher.block(1) == [
        0xe4e7_f110, 0x1559_3bd1, 0x1fdd_0f50, 0xc471_20a3, 0xc7f4_d1c7, 0x0368_c033, 0x9aaa_2204,
        0x4e6c_d4c3, 0x4664_82d2, 0x09aa_9f07, 0x05d7_c214, 0xa202_8bd9, 0xd19c_12b5, 0xb94e_16de,
        0xe883_d0cb, 0x4e3c_50a2,
      ])
  }

  @Test("the block function gives the values of RFC 8439, appendix A.1")
  func vectors() {
    func hex(_ words: [UInt32]) -> String {
      words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
        .map { String(format: "%02x", $0) }.joined()
    }
    let zero = ChaCha20(key: SIMD8(), nonce: SIMD3())
    #expect(
      hex(zero.block(0))
        == "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        + "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586")
    #expect(
      hex(zero.block(1))
        == "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        + "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f")
    let last = ChaCha20(key: SIMD8(0, 0, 0, 0, 0, 0, 0, 0x0100_0000), nonce: SIMD3())
    #expect(
      hex(last.block(1))
        == "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
        + "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0")
  }

  @Test("blocks made together are the blocks made one by one")
  func together() {
    let cipher = ChaCha20(key: Self.key, nonce: SIMD3(9, 8, 7))
    // Across the end of the counter; as many as the widest vectors take twice.
    let (groups, first) = (8, UInt32.max - 13)
    var words = [UInt32](repeating: 0, count: groups * ChaCha20.wordsAtOnce)
    words.withUnsafeMutableBufferPointer {
      cipher.fill($0.baseAddress!, from: first, groups: groups)
    }
    for number in 0..<4 * groups {
      let block = cipher.block(first &+ UInt32(number))
      let group = number / 4 * ChaCha20.wordsAtOnce
      for word in 0..<16 { #expect(words[group + 4 * word + number % 4] == block[word]) }
    }
  }

  @Test("two generators keyed by the system differ; one with a fixed key repeats")
  func keys() {
    let (a, b) = (SecureRandom(), SecureRandom())
    #expect((0..<4).map { _ in a.next() } != (0..<4).map { _ in b.next() })
    let (c, d) = (SecureRandom(fixedKey: Self.key), SecureRandom(fixedKey: Self.key))
    let words = (0..<3000).map { _ in c.next() }
    #expect(words == (0..<3000).map { _ in d.next() })
    #expect(Set(words).count == 3000)
  }

  @Test("numbers below a bound are uniform")
  func bounded() {
    let random = SecureRandom(fixedKey: Self.key)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[Int(random.index(below: UInt64(7)))] += 1 }
    // Chi-squared with 6 degrees of freedom is above 38 with probability 1e-6.
    #expect(counts.reduce(0) { $0 + pow(Double($1) - 10_000, 2) / 10_000 } < 38)
    let bound = UInt128(3) << 90
    for _ in 0..<200 { #expect(random.index(below: bound) < bound) }
  }

  @Test("exponentials in fixed point are right to the last bits")
  func exponentials() {
    // e^-1/2 and e^-1/1024 from their decimal expansions, computed with 60 digits elsewhere.
    func parts(_ value: UInt128) -> [UInt64] {
      [UInt64(value >> 64), UInt64(truncatingIfNeeded: value)]
    }
    let half = parts(FixedPoint.expOfNegative(1 << 127))
    #expect(half[0] == 0x9b45_97e3_7cb0_4ff3)
    #expect(half[1] >> 8 == 0xd675_a355_30cd_d767 >> 8)
    let small = parts(FixedPoint.expOfNegative(1 << 118))
    #expect(small[0] == 0xffc0_07ff_555f_ff77)
    #expect(small[1] >> 8 == 0x7d27_9e7b_87ac_ecdf >> 8)
    #expect(FixedPoint.expOfNegative(0) == .max)
    for x in [0.001, 0.3, 0.77, 0.999] {
      let found = Double(FixedPoint.expOfNegative(UInt128(x * 0x1p128))) * 0x1p-128
      expectClose(found, exp(-x), relative: 1e-15)
    }
  }

  @Test("the table's cells have the weights of the histogram, to all bits of a double")
  func table() {
    let columns = GridNormal.Tables().columns
    #expect(columns.count == 256)
    let weights = (0..<256).map { exp(-Double($0 * $0) / 512) }
    let sum = weights.reduce(0, +)
    var shares = [Double](repeating: 0, count: 256)
    for (cell, column) in columns.enumerated() {
      let own = Double(column.thresholdHigh) * 0x1p-56 + Double(column.thresholdLow) * 0x1p-112
      shares[cell] += own / 256
      shares[Int(column.alias)] += (1 - own) / 256
      // What is kept at once is kept with certainty everywhere in the cell.
      #expect(Double(column.surelyKept) * 0x1p-64 <= exp(-Double(2 * cell + 1) / 512))
      #expect(Double(column.surelyKept) * 0x1p-64 >= exp(-Double(2 * cell + 1) / 512) * 0.999)
    }
    for cell in 0..<256 {
      expectClose(shares[cell], weights[cell] / sum, absolute: 1e-17, relative: 1e-13, "\(cell)")
    }
  }

  @Test("grid noise is the floor of a scaled normal number", arguments: [8, 32, 40])
  func gridNormal(bits: Int) {
    let random = SecureRandom(fixedKey: Self.key)
    let normal = GridNormal(bits: bits)
    let count = 400_000
    let scale = exp2(Double(bits))
    var values = [Double]()
    values.reserveCapacity(count)
    for _ in 0..<count { values.append((Double(normal.next(random)) + 0.5) / scale) }
    // Kolmogorov and Smirnov, on the grid: P(value < edge) is exact at edges. The statistic times sqrt(count) is
    // above 2.7 with probability 1e-6.
    values.sort()
    var worst = 0.0
    for edge in stride(from: -5.0, through: 5, by: 1.0 / 64) {
      var (low, high) = (0, count)
      while low < high {
        let middle = (low + high) / 2
        if values[middle] < edge { low = middle + 1 } else { high = middle }
      }
      worst = max(
        worst, abs(Double(low) / Double(count) - erfc(-edge / 2.0.squareRoot()) / 2))
    }
    #expect(worst * Double(count).squareRoot() < 2.7)
    // Moments, within five standard deviations.
    let n = Double(count)
    let moments = (1...4).map { power in values.reduce(0) { $0 + pow($1, Double(power)) } / n }
    #expect(abs(moments[0]) < 5 / n.squareRoot())
    #expect(abs(moments[1] - 1 - 1 / (12 * scale * scale)) < 5 * (2 / n).squareRoot())
    #expect(abs(moments[2]) < 5 * (15 / n).squareRoot())
    #expect(abs(moments[3] - 3) < 5 * (96 / n).squareRoot())
  }

  @Test("on a coarse grid every single value has its probability")
  func coarse() {
    let random = SecureRandom(fixedKey: Self.key)
    let normal = GridNormal(bits: 8)
    let count = 2_000_000
    var counts: [Int64: Int] = [:]
    for _ in 0..<count { counts[normal.next(random), default: 0] += 1 }
    func below(_ k: Int64) -> Double { erfc(-Double(k) / 256 / 2.0.squareRoot()) / 2 }
    var statistic = 0.0
    var cells = 0.0
    for k in Int64(-640)...640 {
      let expected = (below(k + 1) - below(k)) * Double(count)
      statistic += pow(Double(counts[k] ?? 0) - expected, 2) / expected
      cells += 1
    }
    // Chi-squared is about normal with so many degrees of freedom; five standard deviations are 3e-7.
    #expect(statistic < cells + 5 * (2 * cells).squareRoot())
    #expect(statistic > cells - 5 * (2 * cells).squareRoot())
  }

  @Test("neighbouring draws are not correlated, nor signs with magnitudes")
  func independent() {
    let random = SecureRandom(fixedKey: Self.key)
    let normal = GridNormal(bits: 24)
    let count = 200_000
    var values = [Int64](repeating: 0, count: count)
    values.withUnsafeMutableBufferPointer { normal.add(to: $0, random) }
    let x = values.map { Double($0) * 0x1p-24 }
    let limit = 5 * Double(count).squareRoot()
    for lag in [1, 2, 7] {
      #expect(abs((lag..<count).reduce(0) { $0 + x[$1] * x[$1 - lag] }) < limit)
    }
    #expect(abs(x.reduce(0) { $0 + ($1 < 0 ? -1 : 1) * ($1 * $1 - 1) }) < limit * 2.0.squareRoot())
    // The lowest bit is fair.
    #expect(abs(values.reduce(0.0) { $0 + ($1 & 1 == 1 ? 1 : -1) }) < limit)
  }

  @Test("the discrete Gaussian has its probabilities", arguments: [1, 10, 400] as [UInt64])
  func discrete(variance: UInt64) throws {
    let random = SecureRandom(fixedKey: Self.key)
    let gaussian = try DiscreteGaussian(variance: variance)
    let count = 100_000
    var counts: [Int64: Int] = [:]
    for _ in 0..<count { counts[gaussian.next(random), default: 0] += 1 }
    func weight(_ k: Int64) -> Double { exp(-Double(k * k) / (2 * Double(variance))) }
    let sum = (-1000...1000).reduce(0) { $0 + weight($1) }
    var statistic = 0.0
    var cells = 0.0
    for k in Int64(-100)...100 {
      let expected = weight(k) / sum * Double(count)
      guard expected > 10 else { continue }
      statistic += pow(Double(counts[k] ?? 0) - expected, 2) / expected
      cells += 1
    }
    // Few cells: the tail is heavier than a normal one's; 6 standard deviations and 20 are beyond 1e-6.
    #expect(statistic < cells + 6 * (2 * cells).squareRoot() + 20)
  }

  @Test("coins of an exponential probability are right, above and below 1")
  func coins() {
    let random = SecureRandom(fixedKey: Self.key)
    for (exponent, over) in [(1, 3), (5, 2), (0, 1), (7, 7)] as [(UInt128, UInt128)] {
      let count = 40_000
      let heads = (0..<count).count { _ in
        DiscreteGaussian.bernoulli(exponent: exponent, over: over, random)
      }
      let p = exp(-Double(exponent) / Double(over))
      #expect(
        abs(Double(heads) - p * Double(count))
          <= 5 * (p * (1 - p) * Double(count)).squareRoot() + 1e-9)
    }
  }

  @Test("a variance that is not representable is refused")
  func refused() {
    #expect(throws: PrivacyError.self) { try DiscreteGaussian(variance: 0) }
    #expect(throws: PrivacyError.self) { try DiscreteGaussian(variance: 1 << 41) }
  }

  @Test("noise for 100 000 parameters takes a few milliseconds")
  func speed() {
    let random = SecureRandom()
    let normal = GridNormal(bits: 32)
    var values = [Int64](repeating: 0, count: 100_000)
    var best = Duration.seconds(9)
    for _ in 0..<7 {
      let begin = ContinuousClock.now
      values.withUnsafeMutableBufferPointer { normal.add(to: $0, random) }
      best = min(best, ContinuousClock.now - begin)
    }
    // About 3 ms on a quiet machine; the bound allows for a busy one.
    #expect(best < .milliseconds(15), "\(best)")
  }
}
