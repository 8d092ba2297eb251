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
  }

  deinit {
    starts.deallocate()
    columns.deallocate()
    values.deallocate()
  }

  /// - Precondition: the place was given an entry.
  package subscript(row: Int, column: Int) -> Double {
    get { values[place(row, column)] }
    set { values[place(row, column)] = newValue }
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

  /// `out = self p self'` for a symmetric `p` `[n, n]`.
  ///
  /// - Parameter product: `self p` afterwards.
  func congruence(
    _ p: UnsafePointer<Double>, _ out: UnsafeMutablePointer<Double>,
    product: UnsafeMutablePointer<Double>
  ) {
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
  }
}
