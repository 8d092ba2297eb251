import Foundation
import NumericsCore
import TestSupport
import Testing

@Suite("Matrix products")
struct MatrixProductTests {
  static let sizes = [
    (1, 1, 1), (1, 7, 3), (2, 3, 5), (5, 1, 9), (13, 17, 11), (31, 33, 29), (64, 37, 1),
    (3, 65, 130),
  ]

  @Test("OpenBLAS runs on the vector units that the processor has")
  func coreName() throws {
    let flags = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    guard flags.contains("avx2") else { return }
    #expect(BLAS.threads == 1)
    // Who sets OPENBLAS_CORETYPE gets it.
    if ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"] == nil {
      #expect(BLAS.missedCoreName == nil, "OpenBLAS runs on \(BLAS.coreName)")
    }
    let forced = ProcessInfo.processInfo.environment["FORECAST_VECTOR_LEVEL"]
    #expect(BLAS.vectorLevel == forced ?? (flags.contains("avx512dq") ? "avx512" : "avx2"))
  }

  @Test(
    "processors that OpenBLAS does not know get the kernels of their vector units",
    arguments: [
      ("Prescott", true, true, "SKYLAKEX"), ("Haswell", true, true, "SKYLAKEX"),
      ("Zen", true, true, "SKYLAKEX"), ("Prescott", false, true, "HASWELL"),
      ("Haswell", false, true, nil), ("Zen", false, true, nil), ("SkylakeX", true, true, nil),
      ("Cooperlake", true, true, nil), ("SapphireRapids", true, true, nil),
      ("Prescott", false, false, nil),
    ] as [(String, Bool, Bool, String?)])
  func betterCore(core: String, avx512: Bool, avx2: Bool, better: String?) {
    #expect(BLAS.betterCore(than: core, avx512: avx512, avx2: avx2) == better)
  }

  private func check<Element: Real>(
    _ m: Int, _ n: Int, _ k: Int, tolerance: Element, _ type: Element.Type
  ) {
    var random = SeededGenerator(seed: UInt64(m * 10_000 + n * 100 + k))
    func matrix(_ count: Int) -> [Element] { random.normals(count).map { Element($0) } }
    for aIs in [Orientation.plain, .transposed] {
      for bIs in [Orientation.plain, .transposed] {
        for (alpha, beta) in [(1, 0), (1, 1), (-0.5, 2)] as [(Element, Element)] {
          // Rows lie further apart than they are long.
          let lda = (aIs == .plain ? k : m) + 2
          let ldb = (bIs == .plain ? n : k) + 1
          let ldc = n + 3
          let a = matrix((aIs == .plain ? m : k) * lda)
          let b = matrix((bIs == .plain ? k : n) * ldb)
          let before = matrix(m * ldc)
          var c = before
          Element.multiply(
            m, n, k, alpha: alpha, a, aIs, lda: lda, b, bIs, ldb: ldb, beta: beta, &c, ldc: ldc)
          var expected = before
          for row in 0..<m {
            for column in 0..<n {
              var sum: Element = 0
              for inner in 0..<k {
                let left = aIs == .plain ? a[row * lda + inner] : a[inner * lda + row]
                let right = bIs == .plain ? b[inner * ldb + column] : b[column * ldb + inner]
                sum += left * right
              }
              expected[row * ldc + column] = alpha * sum + beta * before[row * ldc + column]
            }
          }
          let scale = Element(k).squareRoot()
          guard
            expectClose(
              c, expected, absolute: tolerance * scale, relative: tolerance,
              "\(type) \(m) x \(n) x \(k), \(aIs) \(bIs)")
          else { return }
        }
      }
    }
  }

  @Test("a product equals three loops, whatever the orientation", arguments: sizes)
  func product(m: Int, n: Int, k: Int) {
    check(m, n, k, tolerance: 1e-14, Double.self)
    check(m, n, k, tolerance: 4e-6, Float.self)
  }
}
