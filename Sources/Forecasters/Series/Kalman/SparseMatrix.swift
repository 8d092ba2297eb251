/// A small square matrix with few entries in each row, such as the transition of a structural model.
///
/// Belongs to one thread: entries can be changed.
package final class SparseMatrix {
  package let size: Int
  /// Where the entries of each row begin; one more than rows.
  private let starts: [Int]
  private let columns: [Int]
  private var values: [Double]

  /// - Parameter entries: each place at most once.
  package init(_ size: Int, _ entries: [(row: Int, column: Int, value: Double)]) {
    self.size = size
    let sorted = entries.sorted { ($0.row, $0.column) < ($1.row, $1.column) }
    columns = sorted.map(\.column)
    values = sorted.map(\.value)
    starts = (0...size).map { row in sorted.count { $0.row < row } }
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
    columns.withUnsafeBufferPointer { columns in
      values.withUnsafeBufferPointer { values in
        for row in 0..<size {
          var sum = 0.0
          for k in starts[row]..<starts[row + 1] { sum += values[k] * x[columns[k]] }
          out[row] = sum
        }
      }
    }
  }

  /// `out = self x` for `x` `[n, columns]`.
  func apply(
    _ x: UnsafePointer<Double>, columns width: Int, _ out: UnsafeMutablePointer<Double>
  ) {
    for row in 0..<size {
      let to = out + row * width
      to.update(repeating: 0, count: width)
      for k in starts[row]..<starts[row + 1] {
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
    let n = size
    columns.withUnsafeBufferPointer { columns in
      values.withUnsafeBufferPointer { values in
        starts.withUnsafeBufferPointer { starts in
          for i in 0..<n {
            let row = product + i * n
            let first = starts[i]
            if first == starts[i + 1] {
              row.update(repeating: 0, count: n)
              continue
            }
            let (source, value) = (p + columns[first] * n, values[first])
            for j in 0..<n { row[j] = value * source[j] }
            for k in (first + 1)..<starts[i + 1] {
              let (source, value) = (p + columns[k] * n, values[k])
              for j in 0..<n { row[j] += value * source[j] }
            }
          }
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
    }
  }
}
