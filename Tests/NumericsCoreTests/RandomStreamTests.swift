import Foundation
import NumericsCore
import Testing

@Suite("Random streams")
struct RandomStreamTests {
  /// Known answers of the Random123 distribution (Salmon et al. 2011, kat_vectors).
  @Test(
    "Philox4x32-10 gives its published answers",
    arguments: [
      (UInt32.min, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8] as [UInt32]),
      (UInt32.max, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd] as [UInt32]),
    ])
  func knownAnswers(word: UInt32, expected: [UInt32]) {
    let block = RandomStream.philox(
      SIMD4(repeating: word), key: SIMD2(repeating: word))
    #expect([block.x, block.y, block.z, block.w] == expected)
  }

  private func words(_ seed: UInt64, _ purpose: String, _ count: Int = 64) -> [UInt32] {
    var stream = RandomStream(seed: seed, purpose: purpose)
    return (0..<count).map { _ in stream.nextWord() }
  }

  @Test("the same seed and name give the same words")
  func reproducible() {
    #expect(words(7, "windows") == words(7, "windows"))
  }

  @Test("another name or seed, in either half of its bits, gives other words")
  func independent() {
    let reference = words(7, "windows")
    let others = [words(7, "initialisation"), words(8, "windows"), words(7 | 1 << 40, "windows")]
    for other in others {
      #expect(zip(reference, other).filter { $0 == $1 }.isEmpty)
    }
  }

  @Test("uniform numbers fill [0, 1) evenly")
  func uniform() {
    var stream = RandomStream(seed: 1, purpose: "test")
    let count = 200_000
    var bins = [Int](repeating: 0, count: 20)
    for _ in 0..<count {
      let value = stream.uniform()
      #expect(value >= 0 && value < 1)
      bins[Int(value * 20)] += 1
    }
    let expected = Double(count) / 20
    let chi = bins.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    #expect(chi < 43.8)  // 19 degrees of freedom, false alarm 0.1 %
  }

  @Test("normal numbers have the moments and the tail of the normal distribution")
  func normal() {
    var stream = RandomStream(seed: 2, purpose: "test")
    let count = 200_000.0
    var sums = (0.0, 0.0, 0.0, 0.0)
    var beyond = 0.0
    for _ in 0..<Int(count) {
      let x = stream.normal()
      sums = (sums.0 + x, sums.1 + x * x, sums.2 + x * x * x, sums.3 + x * x * x * x)
      if abs(x) > 1.959964 { beyond += 1 }
    }
    // Four standard errors: false alarm below 0.01 % for each.
    let error = 4 / count.squareRoot()
    #expect(abs(sums.0 / count) < error)
    #expect(abs(sums.1 / count - 1) < error * 2.0.squareRoot())
    #expect(abs(sums.2 / count) < error * 15.0.squareRoot())
    #expect(abs(sums.3 / count - 3) < error * 96.0.squareRoot())
    #expect(abs(beyond / count - 0.05) < error * (0.05 * 0.95).squareRoot())
  }

  @Test("indices are even over their range", arguments: [1, 2, 3, 7, 10, 1000])
  func index(bound: Int) {
    var stream = RandomStream(seed: 3, purpose: "test")
    let count = 200 * bound
    var bins = [Int](repeating: 0, count: bound)
    for _ in 0..<count { bins[stream.index(below: bound)] += 1 }
    let chi = bins.reduce(0) { $0 + Double(($1 - 200) * ($1 - 200)) / 200 }
    let freedom = Double(bound - 1)
    #expect(chi <= freedom + 5 * (2 * freedom).squareRoot() + 5)
  }

  @Test("an index of the largest range is not negative")
  func largestIndex() {
    var stream = RandomStream(seed: 4, purpose: "test")
    for _ in 0..<1000 { #expect(stream.index(below: .max) >= 0) }
  }

  @Test("a stream goes on from any position as if it had never been elsewhere")
  func position() {
    var stream = RandomStream(seed: 3, purpose: "test")
    #expect(stream.position == 0)
    var words: [UInt32] = []
    for k in 0..<13 {
      #expect(stream.position == UInt64(k))
      words.append(stream.nextWord())
    }
    for k in words.indices {
      var other = RandomStream(seed: 3, purpose: "test")
      other.position = UInt64(k)
      #expect(other.position == UInt64(k))
      #expect((k..<13).map { _ in other.nextWord() } == Array(words[k...]))
    }
    stream.position = 1 << 40
    #expect(stream.position == 1 << 40)
  }
}
