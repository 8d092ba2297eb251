/// Starting values of the diagonal state matrix: one eigenvalue of each conjugate pair, `n = 0 ..< N / 2` for a
/// state of `N` (Gu et al. 2022, arXiv 2206.11893, section 4).
public enum StateMatrix: String, Sendable, Codable, CaseIterable {
  /// `-1/2 + i pi n`.
  case linear
  /// `-1/2 + i (N / pi) (N / (2 n + 1) - 1)`.
  case inverse
  /// Eigenvalues of the normal part of HiPPO-LegS, imaginary parts rising.
  case legS
  /// `-(n + 1)`: no oscillation.
  case real

  /// - Parameter size: `N`, even.
  public func eigenvalues(size: Int) -> (real: [Double], imaginary: [Double]) {
    precondition(size >= 2 && size % 2 == 0)
    let half = [Double](repeating: -0.5, count: size / 2)
    let full = Double(size)
    switch self {
    case .linear: return (half, (0..<(size / 2)).map { .pi * Double($0) })
    case .inverse:
      return (half, (0..<(size / 2)).map { full / .pi * (full / Double(2 * $0 + 1) - 1) })
    case .legS: return (half, Self.frequenciesOfLegS(size))
    case .real:
      return ((0..<(size / 2)).map { -Double($0 + 1) }, half.map { _ in 0 })
    }
  }

  /// HiPPO-LegS: `A_ij = -sqrt((2i+1)(2j+1))` below the diagonal, `-(i+1)` on it (Gu et al. 2020).
  public static func hippoLegS(_ size: Int) -> [Double] {
    (0..<(size * size)).map { k in
      let (i, j) = (k / size, k % size)
      return i > j ? -(Double((2 * i + 1) * (2 * j + 1))).squareRoot() : i == j ? -Double(i + 1) : 0
    }
  }

  /// HiPPO-LegS plus `p p'` with `p_i = sqrt(i + 1/2)` is `-1/2` plus a skew-symmetric matrix `K`, whose
  /// eigenvalues are `+-i w`. Those of the symmetric matrix `K' K` are `w^2`, each twice.
  private static func frequenciesOfLegS(_ size: Int) -> [Double] {
    var squares = squareOfSkewPart(skewPartOfLegS(size), size)
    let values = SymmetricEigenvalues.of(&squares, size).sorted()
    return stride(from: 0, to: size, by: 2).map {
      (max(0, values[$0] + values[$0 + 1]) / 2).squareRoot()
    }
  }

  /// `K` `[n, n]`.
  private static func skewPartOfLegS(_ size: Int) -> [Double] {
    var k = [Double](repeating: 0, count: size * size)
    for i in 0..<size {
      for j in 0..<size where i != j {
        let root = Double((2 * i + 1) * (2 * j + 1)).squareRoot() / 2
        k[i * size + j] = i > j ? -root : root
      }
    }
    return k
  }

  /// `K' K`.
  private static func squareOfSkewPart(_ k: [Double], _ size: Int) -> [Double] {
    var squares = [Double](repeating: 0, count: size * size)
    Double.multiply(
      size, size, size, alpha: 1, k, .transposed, lda: size, k, .plain, ldb: size, beta: 0,
      &squares, ldc: size)
    return squares
  }

  /// HiPPO-LegS as a normal matrix minus one of rank 1 (Gu et al. 2022, arXiv 2111.00396, appendix C.1), in the basis of
  /// the eigenvectors of the normal one: `V (diag(lambda) - P P^*) V^*`.
  public struct NormalPlusLowRank: Sendable {
    /// `lambda`, one of each conjugate pair, imaginary parts rising.
    public let real: [Double]
    public let imaginary: [Double]
    /// `P = V^* p` and `B = V^* b` with `b_i = sqrt(2 i + 1)`, by modes, real and imaginary part side by side.
    public let lowRank: [Double]
    public let input: [Double]
    /// The eigenvectors, one after another, `[N / 2, N, 2]`.
    public let vectors: [Double]

    /// - Parameter size: `N`, even.
    public init(size: Int) {
      precondition(size >= 2 && size % 2 == 0)
      let k = skewPartOfLegS(size)
      var squares = squareOfSkewPart(k, size)
      var basis: [Double] = []
      let values = SymmetricEigenvalues.of(&squares, size, vectors: &basis)
      let order = values.indices.sorted { values[$0] < values[$1] }
      var (imaginary, lowRank, input): ([Double], [Double], [Double]) = ([], [], [])
      var vectors: [Double] = []
      for pair in stride(from: 0, to: size, by: 2) {
        // With u of the pair's plane and v = K u / w, u - i v is an eigenvector of K.
        let u = (0..<size).map { basis[$0 * size + order[pair]] }
        var v = [Double](repeating: 0, count: size)
        Double.multiply(
          size, 1, size, alpha: 1, k, .plain, lda: size, u, .plain, ldb: 1, beta: 0, &v, ldc: 1)
        let w = v.reduce(0) { $0 + $1 * $1 }.squareRoot()
        let unit = 0.5.squareRoot()
        imaginary.append(w)
        for i in 0..<size { vectors += [u[i] * unit, -v[i] / w * unit] }
        func projected(_ p: (Int) -> Double) -> [Double] {
          let sums = (0..<size).reduce((0.0, 0.0)) {
            ($0.0 + u[$1] * p($1), $0.1 + v[$1] / w * p($1))
          }
          return [sums.0 * unit, sums.1 * unit]
        }
        lowRank += projected { (Double($0) + 0.5).squareRoot() }
        input += projected { Double(2 * $0 + 1).squareRoot() }
      }
      self.imaginary = imaginary
      real = [Double](repeating: -0.5, count: size / 2)
      self.lowRank = lowRank
      self.input = input
      self.vectors = vectors
    }
  }
}

/// Eigenvalues and eigenvectors of small symmetric matrices by Jacobi's rotations, which are as exact as the matrix.
enum SymmetricEigenvalues {
  /// - Parameter a: `[n, n]`; becomes diagonal.
  static func of(_ a: inout [Double], _ n: Int) -> [Double] {
    var none: [Double]?
    return rotate(&a, n, &none)
  }

  /// - Parameter vectors: becomes the eigenvectors in columns, `[n, n]`.
  static func of(_ a: inout [Double], _ n: Int, vectors: inout [Double]) -> [Double] {
    var basis: [Double]? = (0..<(n * n)).map { $0 / n == $0 % n ? 1 : 0 }
    defer { vectors = basis! }
    return rotate(&a, n, &basis)
  }

  private static func rotate(_ a: inout [Double], _ n: Int, _ basis: inout [Double]?) -> [Double] {
    let scale = a.reduce(0) { $0 + $1 * $1 }
    for _ in 0..<60 {
      var off = 0.0
      for i in 0..<n { for j in 0..<i { off += a[i * n + j] * a[i * n + j] } }
      if off <= 1e-32 * scale { break }
      for p in 0..<n {
        for q in (p + 1)..<max(n, p + 1) where a[p * n + q] != 0 {
          let theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q])
          let t = (theta < 0 ? -1 : 1) / (abs(theta) + (theta * theta + 1).squareRoot())
          let c = 1 / (t * t + 1).squareRoot()
          let s = t * c
          for k in 0..<n {
            let (x, y) = (a[k * n + p], a[k * n + q])
            a[k * n + p] = c * x - s * y
            a[k * n + q] = s * x + c * y
          }
          for k in 0..<n {
            let (x, y) = (a[p * n + k], a[q * n + k])
            a[p * n + k] = c * x - s * y
            a[q * n + k] = s * x + c * y
          }
          guard basis != nil else { continue }
          for k in 0..<n {
            let (x, y) = (basis![k * n + p], basis![k * n + q])
            basis![k * n + p] = c * x - s * y
            basis![k * n + q] = s * x + c * y
          }
        }
      }
    }
    return (0..<n).map { a[$0 * n + $0] }
  }
}
