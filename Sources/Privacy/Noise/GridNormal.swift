import Foundation

/// Draws `floor(2^bits Z)` for a standard normal Z: normal noise on a grid of integers.
///
/// Adding it to an integer x gives `floor(x + 2^bits Z)`, a function of the Gaussian mechanism's result and of
/// nothing else. So every guarantee of the Gaussian mechanism holds for it (post-processing), sub-sampled or not,
/// at every grid and for every accountant, and no low bits of floating-point noise leak anything (Mironov
/// 2012). That is why private training uses it, and not the discrete Gaussian, for which privacy loss
/// distributions would need arguments of their own.
///
/// Method: rejection from a histogram of 256 cells of width 1/16 on each side. The cell comes from an alias table
/// with 112-bit probabilities (Walker 1977), the place in it from further bits; it is kept with probability
/// `exp(-(y² - edge²) / 2)`. Comparisons are decided in double precision where that is beyond doubt, and else with
/// 128 bits (a chance of 2^-44 per draw). The distribution of a draw differs from the one above by at most
/// `distance` in total variation.
///
/// The number of words drawn and the time vary a little with the values; an observer who can time single
/// draws is outside of what this protects from.
package struct GridNormal: Sendable {
  /// Bound of the total variation distance of one draw: rounding of 256 probabilities to 2^-120 each and
  /// their correction (2^-111), exponentials to 2^-121, what lies beyond 16 standard deviations (2^-188).
  package static let distance = 0x1p-104

  /// Number of cells on each side; also the square of the reciprocal of a cell's width.
  private static let cells = 256
  private static let tables = Tables()

  package let bits: Int
  private let tables: Tables

  /// - Parameter bits: 8...40.
  package init(bits: Int) {
    precondition((8...40).contains(bits))
    self.bits = bits
    tables = Self.tables
  }

  /// One draw.
  @inline(__always)
  package func next(_ random: SecureRandom) -> Int64 {
    tables.columns.withUnsafeBufferPointer { draw(random, $0) }
  }

  /// Adds one draw to each of `values`.
  ///
  /// Cost: two words of the stream for each, and some nanoseconds.
  package func add(to values: UnsafeMutableBufferPointer<Int64>, _ random: SecureRandom) {
    tables.columns.withUnsafeBufferPointer { columns in
      for i in values.indices { values[i] &+= draw(random, columns) }
    }
  }

  @inline(__always)
  private func draw(
    _ random: SecureRandom, _ columns: UnsafeBufferPointer<Tables.Column>
  ) -> Int64 {
    while true {
      let first = random.next()
      var cell = Int(first & 255)
      let column = columns[cell]
      let fraction = first >> 8
      if fraction >= column.thresholdHigh {
        if fraction > column.thresholdHigh
          || random.next() & (1 << 56 - 1) >= column.thresholdLow
        {
          cell = Int(column.alias)
        }
      }
      // From the top: the sign, the place within the cell to one step of the grid, and the start of the uniform
      // number that decides whether it is kept.
      let word = random.next()
      let place = (word << 1) >> UInt64(68 - bits)
      let kept = word << UInt64(bits - 3)
      if kept >= columns[cell].surelyKept & (.max << UInt64(bits - 3)),
        !isKept(cell, place, kept, random)
      {
        continue
      }
      let magnitude = Int64(cell) << Int64(bits - 4) | Int64(place)
      // The floor of -(m + something) is -m - 1, which is the complement.
      return magnitude ^ (Int64(bitPattern: word) >> 63)
    }
  }

  @inline(never)
  private func isKept(_ cell: Int, _ place: UInt64, _ start: UInt64, _ random: SecureRandom) -> Bool
  {
    // The place to 64 bits of a cell, and the uniform number to 64.
    let offset = place << UInt64(68 - bits) | random.next() >> UInt64(bits - 4)
    let kept = start | random.next() >> UInt64(67 - bits)
    let v = Double(offset) * 0x1p-68
    let probability = exp(-(Double(cell) * 0.0625 * v + 0.5 * v * v))
    let uniform = Double(kept) * 0x1p-64
    if abs(uniform - probability) > 0x1p-45 { return uniform < probability }
    // Half of the exponent, so that it is surely below 1; its exponential squared.
    let fraction = UInt128(offset) << 64 | UInt128(random.next())
    let half = (fraction >> 9) * UInt128(cell) + FixedPoint.product(fraction, fraction) >> 10
    let root = FixedPoint.expOfNegative(half)
    return UInt128(kept) << 64 | UInt128(random.next()) < FixedPoint.product(root, root)
  }

  package struct Tables: Sendable {
    package struct Column: Sendable {
      /// Upper and lower 56 bits of the threshold below which the column's own cell is taken.
      package var thresholdHigh: UInt64
      package var thresholdLow: UInt64
      /// Uniform words below it keep any place in the cell.
      package var surelyKept: UInt64
      package var alias: UInt8
    }

    package private(set) var columns: [Column]

    /// Weights of the cells: `exp(-(cell / 16)² / 2)`, in units of 2^-128.
    static func weights() -> [UInt128] {
      let inverse = FixedPoint.expOfNegative(1 << 127)  // e^-1/2
      let e = FixedPoint.product(inverse, inverse)
      return (0..<cells).map { cell in
        let exponent = UInt128(cell * cell)  // in units of 1 / 512
        var weight = FixedPoint.expOfNegative((exponent & 511) << 119)
        for _ in 0..<Int(exponent >> 9) { weight = FixedPoint.product(weight, e) }
        return weight
      }
    }

    package init() {
      let weights = Self.weights()
      // Shares of 2^120, exactly; the largest takes what rounding left.
      let sum = weights.reduce(UInt128(0)) { $0 + $1 >> 6 }
      var shares = weights.map { weight -> UInt128 in
        let scaled = weight >> 6
        return sum.dividingFullWidth((high: scaled >> 8, low: scaled << 120)).quotient
      }
      shares[0] += 1 << 120 - shares.reduce(0, +)

      let capacity: UInt128 = 1 << 112
      columns = (0..<cells).map { cell in
        let most = Double(2 * cell + 1) / 512
        // A little less than the least probability of being kept.
        let surely = exp(-most) * (1 - 0x1p-40) * 0x1p64
        return Column(
          thresholdHigh: 1 << 56, thresholdLow: 0, surelyKept: UInt64(surely), alias: UInt8(cell))
      }
      var poor = shares.indices.filter { shares[$0] < capacity }
      var rich = shares.indices.filter { shares[$0] >= capacity }
      while let short = poor.popLast() {
        let long = rich[rich.count - 1]
        columns[short].thresholdHigh = UInt64(shares[short] >> 56)
        columns[short].thresholdLow = UInt64(shares[short] & (1 << 56 - 1))
        columns[short].alias = UInt8(long)
        shares[long] -= capacity - shares[short]
        if shares[long] < capacity {
          rich.removeLast()
          poor.append(long)
        }
      }
    }
  }
}
