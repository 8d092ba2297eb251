import NumericsCore
import TestSupport
import Testing

/// Against the definitions with dense matrices, at sizes around those of vectors.
@Suite("Covariance kernels")
struct CovarianceKernelsTests {
  static let sizes = [1, 2, 3, 7, 8, 9, 17, 26]

  private struct Case {
    let n: Int
    var random: SeededGenerator
    /// Symmetric, positive definite.
    var p: [Double] = []
    var z: [Double]
    /// The dense matrix of the bands.
    var transition: [Double]
    var bands: [Double]

    init(_ n: Int) {
      self.n = n
      random = SeededGenerator(seed: UInt64(n))
      let root = random.normals(n * n)
      p = Self.product(root, Self.transposed(root, n), n)
      let signs = random.normals(n)
      // Mostly 0, as a readout is, and never quite.
      z = signs.indices.map { $0.isMultiple(of: 2) ? signs[$0] : 0 }
      transition = [Double](repeating: 0, count: n * n)
      bands = random.normals(3 * n)
      for i in 0..<n {
        for (band, j) in [i - 1, i, i + 1].enumerated() where j >= 0 && j < n {
          transition[i * n + j] = bands[band * n + i]
        }
      }
    }

    static func transposed(_ a: [Double], _ n: Int) -> [Double] {
      (0..<(n * n)).map { a[$0 % n * n + $0 / n] }
    }

    static func product(_ a: [Double], _ b: [Double], _ n: Int) -> [Double] {
      (0..<(n * n)).map { place in
        (0..<n).reduce(0) { $0 + a[place / n * n + $1] * b[$1 * n + place % n] }
      }
    }
  }

  @Test("a covariance is carried over a tridiagonal transition", arguments: sizes)
  func congruence(n: Int) {
    var one = Case(n)
    let variances = one.random.normals(n)
    var (product, out) = ([Double](repeating: .nan, count: n * n), one.p)
    CovarianceKernels.congruence(
      n, bands: one.bands, one.p, variances: variances, product: &product, &out)
    let left = Case.product(one.transition, one.p, n)
    var expected = Case.product(left, Case.transposed(one.transition, n), n)
    for k in 0..<n { expected[k * n + k] += variances[k] }
    expectClose(product, left, absolute: 1e-11)
    expectClose(out, expected, absolute: 1e-10)
    CovarianceKernels.congruence(
      n, bands: one.bands, one.p, variances: nil, product: &product, &out)
    for k in 0..<n { expected[k * n + k] -= variances[k] }
    expectClose(out, expected, absolute: 1e-10)
  }

  @Test("an observation moves covariance, information and response", arguments: sizes)
  func observation(n: Int) {
    var one = Case(n)
    let (p, z, noise) = (one.p, one.z, 0.3)
    let pz = (0..<n).map { i in (0..<n).reduce(0) { $0 + p[i * n + $1] * z[$1] } }
    let spread = noise + zip(pz, z).reduce(0) { $0 + $1.0 * $1.1 }
    let gain = pz.map { $0 / spread }
    var (found, filtered) = ([Double](repeating: 0, count: n), p)
    var scratch = [Double](repeating: 0, count: 2 * n)
    let variance = CovarianceKernels.update(
      n, z: z, noise: noise, p, gain: &found, &filtered, scratch: &scratch)
    expectClose(variance, spread, relative: 1e-12)
    expectClose(found, gain, absolute: 1e-12)
    expectClose(
      filtered, (0..<(n * n)).map { place -> Double in p[place] - gain[place / n] * pz[place % n] },
      absolute: 1e-11)
    // L' P L + z z' / spread with L = I - gain z'.
    let l = (0..<(n * n)).map { place -> Double in
      let identity: Double = place / n == place % n ? 1 : 0
      return identity - gain[place / n] * z[place % n]
    }
    var information = [Double](repeating: 0, count: n * n)
    let d = CovarianceKernels.information(
      n, z: z, spread: spread, gain: gain, before: p, &information, scratch: &scratch)
    let inner = Case.product(Case.product(Case.transposed(l, n), p, n), l, n)
    expectClose(
      information,
      (0..<(n * n)).map { place -> Double in
        inner[place] + z[place / n] * z[place % n] / spread
      },
      absolute: 1e-10)
    let pg = (0..<n).map { i in (0..<n).reduce(0) { $0 + p[i * n + $1] * gain[$1] } }
    expectClose(d, 1 / spread + zip(pg, gain).reduce(0) { $0 + $1.0 * $1.1 }, relative: 1e-12)
    var response = one.random.normals(n * n)
    let (start, before) = (response, information)
    CovarianceKernels.response(
      n, z: z, spread: spread, gain: gain, &response, information: &information,
      scratch: &scratch)
    let e = (0..<n).map { j in (0..<n).reduce(0) { $0 + z[$1] * start[$1 * n + j] } }
    expectClose(
      response,
      (0..<(n * n)).map { place -> Double in start[place] - gain[place / n] * e[place % n] },
      absolute: 1e-11)
    expectClose(
      information,
      (0..<(n * n)).map { place -> Double in
        before[place] + e[place / n] * e[place % n] / spread
      },
      absolute: 1e-11)
  }

  @Test("a prediction without a variance has no update")
  func refused() {
    var (gain, p, scratch) = ([7.0], [7.0], [0.0, 0])
    #expect(
      CovarianceKernels.update(
        1, z: [1], noise: 0.5, [-1], gain: &gain, &p, scratch: &scratch) == -0.5)
    #expect(gain == [7] && p == [7])
  }
}
