import NumericsCore
import TestSupport
import Testing

@Suite("Linear algebra")
struct CholeskyTests {
  /// A random `a a'` with something on the diagonal, as one matrix.
  private func positive(_ n: Int, seed: UInt64) -> [Double] {
    var random = SeededGenerator(seed: seed)
    let a = random.normals(n * n)
    return (0..<(n * n)).map { place -> Double in
      let (i, j) = (place / n, place % n)
      var sum = i == j ? 0.1 : 0
      for k in 0..<n { sum += a[i * n + k] * a[j * n + k] }
      return sum
    }
  }

  @Test(
    "the factor times its transpose is the matrix, and what it solves fulfils the equations",
    arguments: [1, 2, 5, 47, 48, 49, 97, 130])
  func factor(n: Int) {
    let a = positive(n, seed: UInt64(n))
    var factor = a
    // What is above the diagonal is neither read nor written.
    for i in 0..<n { for j in (i + 1)..<max(n, i + 1) { factor[i * n + j] = .nan } }
    #expect(Cholesky.factor(&factor, n))
    let size = a.reduce(0) { max($0, abs($1)) }
    for i in 0..<n {
      for j in 0...i {
        var sum = 0.0
        for k in 0...j { sum += factor[i * n + k] * factor[j * n + k] }
        expectClose(sum, a[i * n + j], absolute: 1e-13 * size)
      }
      #expect((i + 1..<max(n, i + 1)).allSatisfy { factor[i * n + $0].isNaN })
    }
    var random = SeededGenerator(seed: 3)
    let x = random.normals(n * 3)
    func product(_ x: [Double]) -> [Double] {
      (0..<(n * 3)).map { place in
        var sum = 0.0
        for k in 0..<n { sum += a[place / 3 * n + k] * x[k * 3 + place % 3] }
        return sum
      }
    }
    let expected = product(x)
    var b = expected
    Cholesky.solve(factor, n, &b, columns: 3)
    expectClose(product(b), expected, absolute: 1e-9 * size)
  }

  @Test("a matrix that is not positive definite has no factor", arguments: [0, 3, 60])
  func indefinite(place: Int) {
    let n = 64
    var a = positive(n, seed: 9)
    a[place * n + place] = -1
    #expect(!Cholesky.factor(&a, n))
    var nothing = [Double.nan]
    #expect(!Cholesky.factor(&nothing, 1))
  }

  @Test("a Gram matrix is the sum over rows")
  func gram() {
    var random = SeededGenerator(seed: 5)
    let x = random.normals(7 * 4)
    var gram = [Double](repeating: 1, count: 16)
    Cholesky.addGram(rows: 7, 4, x, to: &gram, scale: -2)
    for i in 0..<4 {
      for j in 0..<4 {
        var sum = 0.0
        for row in 0..<7 { sum += x[row * 4 + i] * x[row * 4 + j] }
        expectClose(gram[i * 4 + j], j <= i ? 1 - 2 * sum : 1, absolute: 1e-13)
      }
    }
  }

  @Test("the spectral radius of matrices whose eigenvalues are known")
  func radius() {
    // A turn by 1 radian, stretched: a complex pair of modulus 0.7; beside it 0.3.
    let (c, s) = (0.7 * 0.5403023058681398, 0.7 * 0.8414709848078965)
    expectClose(SpectralRadius.of([c, -s, 0, s, c, 0, 0, 0, 0.3], 3), 0.7, relative: 1e-4)
    expectClose(SpectralRadius.of([-2], 1), 2, relative: 1e-12)
    // A Jordan block grows faster than its radius, for a while.
    expectClose(SpectralRadius.of([0.5, 100, 0, 0.5], 2), 0.5, relative: 1e-3)
    #expect(SpectralRadius.of([0, 1, 0, 0], 2) == 0)
    #expect(SpectralRadius.of([Double](repeating: 0, count: 9), 3) == 0)
    // Symmetric: the radius is the norm.
    var random = SeededGenerator(seed: 1)
    let q = random.normals(400)
    let symmetric = (0..<400).map { place -> Double in
      let (i, j) = (place / 20, place % 20)
      return (q[i * 20 + j] + q[j * 20 + i]) / 2
    }
    func times(_ x: [Double]) -> [Double] {
      (0..<20).map { i in
        var sum = 0.0
        for j in 0..<20 { sum += symmetric[i * 20 + j] * x[j] }
        return sum
      }
    }
    var x = random.normals(20)
    var norm = 0.0
    for _ in 0..<4000 {
      x = times(times(x))
      norm = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
      x = x.map { $0 / norm }
    }
    expectClose(SpectralRadius.of(symmetric, 20), norm.squareRoot(), relative: 1e-4)
  }
}
