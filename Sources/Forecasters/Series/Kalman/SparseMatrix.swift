import NumericsCore

/// A small square matrix with few entries in each row, such as the transition of a structural model.
///
/// Belongs to one thread: entries can be changed.
package final class SparseMatrix {
  package let size: Int
  // In memory of their own: access to arrays of a class is checked at every use.
  /// Where the entries of each row begin; one more than rows.
  private let starts: UnsafeMutablePointer<Int>
  private let columns: UnsafeMutablePointer<Int>
  private let values: UnsafeMutablePointer<Double>
  /// `[3, n]`, left of the diagonal, on it, right of it, of a matrix with nothing else: those of trends and trigonometric
  /// seasons. Products with it are done by vectors.
  private let bands: UnsafeMutablePointer<Double>?

  /// - Parameter entries: each place at most once.
  package init(_ size: Int, _ entries: [(row: Int, column: Int, value: Double)]) {
    self.size = size
    let sorted = entries.sorted { ($0.row, $0.column) < ($1.row, $1.column) }
    starts = .allocate(capacity: size + 1)
    columns = .allocate(capacity: max(sorted.count, 1))
    values = .allocate(capacity: max(sorted.count, 1))
    for row in 0...size { (starts + row).initialize(to: sorted.count { $0.row < row }) }
    for (place, entry) in sorted.enumerated() {
      (columns + place).initialize(to: entry.column)
      (values + place).initialize(to: entry.value)
    }
    guard entries.allSatisfy({ abs($0.row - $0.column) <= 1 }) else {
      bands = nil
      return
    }
    let bands = UnsafeMutablePointer<Double>.allocate(capacity: 3 * size)
    bands.initialize(repeating: 0, count: 3 * size)
    for entry in entries { bands[Self.band(size, entry.row, entry.column)] = entry.value }
    self.bands = bands
  }

  deinit {
    starts.deallocate()
    columns.deallocate()
    values.deallocate()
    bands?.deallocate()
  }

  /// - Precondition: the place was given an entry.
  package subscript(row: Int, column: Int) -> Double {
    get { values[place(row, column)] }
    set {
      values[place(row, column)] = newValue
      bands?[Self.band(size, row, column)] = newValue
    }
  }

  private static func band(_ size: Int, _ row: Int, _ column: Int) -> Int {
    (column - row + 1) * size + row
  }

  private func place(_ row: Int, _ column: Int) -> Int {
    guard let place = (starts[row]..<starts[row + 1]).first(where: { columns[$0] == column })
    else { preconditionFailure("row \(row) has no entry in column \(column)") }
    return place
  }

  var transposed: SparseMatrix {
    SparseMatrix(
      size,
      (0..<size).flatMap { row in
        (starts[row]..<starts[row + 1]).map { (columns[$0], row, values[$0]) }
      })
  }

  /// `out = self x`.
  package func apply(_ x: UnsafePointer<Double>, _ out: UnsafeMutablePointer<Double>) {
    for row in 0..<size {
      var sum = 0.0
      for k in starts[row]..<starts[row + 1] { sum += values[k] * x[columns[k]] }
      out[row] = sum
    }
  }

  /// `out = self x` for `x` `[n, columns]`.
  func apply(
    _ x: UnsafePointer<Double>, columns width: Int, _ out: UnsafeMutablePointer<Double>
  ) {
    for row in 0..<size {
      let to = out + row * width
      let first = starts[row]
      guard first < starts[row + 1] else {
        to.update(repeating: 0, count: width)
        continue
      }
      let (source, value) = (x + columns[first] * width, values[first])
      for j in 0..<width { to[j] = value * source[j] }
      for k in (first + 1)..<starts[row + 1] {
        let (source, value) = (x + columns[k] * width, values[k])
        for j in 0..<width { to[j] += value * source[j] }
      }
    }
  }

  /// `out = self p self' + diag(variances)` for a symmetric `p` `[n, n]`.
  ///
  /// - Parameters:
  ///   - variances: nil for none.
  ///   - product: `self p` afterwards.
  package func congruence(
    _ p: UnsafePointer<Double>, variances: UnsafePointer<Double>? = nil,
    _ out: UnsafeMutablePointer<Double>, product: UnsafeMutablePointer<Double>
  ) {
    if let bands {
      return CovarianceKernels.congruence(
        size, bands: bands, p, variances: variances, product: product, out)
    }
    let (n, starts, columns, values) = (size, starts, columns, values)
    apply(p, columns: n, product)
    for i in 0..<n {
      let row = product + i * n
      for j in 0...i {
        var sum = 0.0
        for k in starts[j]..<starts[j + 1] { sum += values[k] * row[columns[k]] }
        out[i * n + j] = sum
        out[j * n + i] = sum
      }
    }
    if let variances { for k in 0..<n { out[k * n + k] += variances[k] } }
  }
}
