import CKernels

/// A linear map along the first axis whose rows have few entries: `y[i] = sum of weight x[index]`.
///
/// Interpolation, moving averages and choices of steps are such maps. Arithmetic is that of the entries, each over the
/// numbers of all other axes at once.
struct SparseMap<Element: Real>: Operation {
  /// Entries of each row of the result.
  let rows: [[SparseEntry]]
  let inputs: Int
  /// Numbers in a row.
  let inner: Int
  let outputs: [Shape]

  func backwardReads(input: Int) -> Bool { false }

  func forward(_ context: OperationContext<Element>) {
    let (x, y) = (context.input(0), context.output())
    let type = Element.kernelType
    for (i, row) in rows.enumerated() {
      for (k, entry) in row.enumerated() {
        ck_scale(
          type, inner, entry.weight, x + entry.index * inner, y + i * inner, k > 0 ? 1 : 0)
      }
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0), let dy = context.outputGradient() else { return }
    let to = dx.cleared(inputs * inner)
    let type = Element.kernelType
    for (i, row) in rows.enumerated() {
      for entry in row {
        ck_scale(type, inner, entry.weight, dy + i * inner, to + entry.index * inner, 1)
      }
    }
  }
}

/// Not generic, so that a walk over many of them reads them where they lie.
struct SparseEntry: Sendable {
  let index: Int
  let weight: Double
}

extension Tensor {
  private func mapped(_ rows: [[SparseEntry]]) -> Tensor {
    let operation = SparseMap<Element>(
      rows: rows, inputs: shape[0], inner: shape.count / shape[0],
      outputs: [Shape([rows.count] + shape.axes.dropFirst())])
    return graph.apply(operation, to: [self])[0]
  }

  /// Linear interpolation along the first axis to `count` places. Both rows of places cover the same stretch and
  /// lie in the middles of its equal parts; beyond the first and the last of the given ones their values hold.
  public func interpolated(to count: Int) -> Tensor {
    precondition(count >= 1)
    let knots = shape[0]
    return mapped(
      (0..<count).map { place in
        let position = (Double(place) + 0.5) * Double(knots) / Double(count) - 0.5
        let bounded = min(max(position, 0), Double(knots - 1))
        let left = min(Int(bounded), max(knots - 2, 0))
        let share = bounded - Double(left)
        let entries = [
          SparseEntry(index: left, weight: 1 - share),
          SparseEntry(index: min(left + 1, knots - 1), weight: share),
        ].filter { $0.weight != 0 }
        return entries
      })
  }

  /// Means over `window` neighbours along the first axis, centred; at the ends the first and the last row stand in
  /// for those beyond.
  ///
  /// - Parameter window: odd.
  public func movingAverage(window: Int) -> Tensor {
    precondition(window >= 1 && window % 2 == 1)
    let (count, half) = (shape[0], window / 2)
    return mapped(
      (0..<count).map { t in
        let (low, high) = (max(t - half, 0), min(t + half, count - 1))
        return (low...high).map { index in
          var repeats = 1
          if index == 0 { repeats += max(half - t, 0) }
          if index == count - 1 { repeats += max(t + half - (count - 1), 0) }
          return SparseEntry(
            index: index, weight: Double(repeats) / Double(window))
        }
      })
  }

  /// The last row of the first axis and every `stride`-th before it.
  public func thinned(by stride: Int) -> Tensor {
    precondition(stride >= 1)
    if stride == 1 { return self }
    return rows(Array(Swift.stride(from: (shape[0] - 1) % stride, to: shape[0], by: stride)))
  }

  /// Rows of the first axis by number; one may come several times.
  public func rows(_ numbers: [Int]) -> Tensor {
    precondition(numbers.allSatisfy { $0 >= 0 && $0 < shape[0] })
    return mapped(numbers.map { [SparseEntry(index: $0, weight: 1)] })
  }
}
