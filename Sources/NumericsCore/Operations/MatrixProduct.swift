/// `x w + b` over the last axis: `x` `[..., K]`, `w` `[K, N]`, `b` `[N]` or none.
struct Linear<Element: Real>: Operation {
  let rows: Int
  let inner: Int
  let columns: Int
  let hasBias: Bool
  let outputs: [Shape]

  func backwardReads(input: Int) -> Bool { input < 2 }
  var gradientsAreSeparate: Bool { true }

  func forward(_ context: OperationContext<Element>) {
    let out = context.output()
    if hasBias { Element.broadcast(rows: rows, width: columns, context.input(2), to: out) }
    if rows <= 4 {
      Element.multiplyFew(
        rows: rows, inner: inner, columns: columns, context.input(0), context.input(1), out,
        adds: hasBias)
      return
    }
    Element.multiply(
      rows, columns, inner, alpha: 1, context.input(0), .plain, lda: inner, context.input(1),
      .plain,
      ldb: columns, beta: hasBias ? 1 : 0, out, ldc: columns)
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    if let dx = context.inputGradient(0) {
      Element.multiply(
        rows, inner, columns, alpha: 1, dy, .plain, lda: columns, context.input(1), .transposed,
        ldb: columns, beta: dx.beta, dx.base, ldc: inner)
    }
    if let dw = context.inputGradient(1) {
      Element.multiply(
        inner, columns, rows, alpha: 1, context.input(0), .transposed, lda: inner, dy, .plain,
        ldb: columns, beta: dw.beta, dw.base, ldc: columns)
    }
    if hasBias, let db = context.inputGradient(2) {
      Element.addColumnSums(rows: rows, width: columns, dy, to: db.cleared(columns))
    }
  }

  // MARK: Gradients of units

  func unitForm(_ operands: UnitOperands) -> UnitForm? {
    // Rows of the batch are one or more whole rows of the product, in the same order.
    guard let x = operands.inputs[0], let y = operands.outputs[0], x.outer == y.outer,
      x.inner % inner == 0, y.inner == x.inner / inner * columns,
      operands.inputs[1...].allSatisfy({ $0 == nil })
    else { return nil }
    var form = UnitForm(inputs: [0])
    form.scratchCount = Element.sumProductsScratch(
      steps: rows, height: inner, width: columns)
    return form
  }

  @specialized(where Element == Float)
  func addUnitGradient(_ unit: UnitRows, _ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let each = unit.layout.inner / columns
    let own = unit.range.count * each
    let first = unit.range.lowerBound * each
    // Rows that lie together, times, and what is between them: whichever are more, in one sum.
    let (outer, apart) = (unit.layout.outer, unit.rows * each)
    let together = own >= outer
    for part in 0..<(together ? outer : own) {
      let start = together ? part * apart + first : first + part
      add(
        context, dy, start, steps: together ? own : outer, step: together ? 1 : apart)
    }
  }

  /// Adds what `steps` rows from `start` on give.
  private func add(
    _ context: OperationContext<Element>, _ dy: UnsafePointer<Element>, _ start: Int, steps: Int,
    step: Int
  ) {
    let (x, dy) = (context.input(0) + start * inner, dy + start * columns)
    let db = hasBias ? context.inputGradient(2) : nil
    guard let dw = context.inputGradient(1) else {
      for row in 0..<steps {
        db.map { Element.add(columns, dy + row * step * columns, to: $0.base) }
      }
      return
    }
    Element.sumProducts(
      steps: steps, height: inner, width: columns, x, aStep: step * inner, dy,
      bStep: step * columns, to: dw.base, sums: db?.base, scratch: context.scratch)
  }
}

/// A matrix product for each of `batch` pairs: `a` `[batch, M, K]`, `b` `[batch, K, N]`, either of them
/// stored transposed.
struct BatchedProduct<Element: Real>: Operation {
  let batch: Int
  let m: Int
  let n: Int
  let k: Int
  let aTransposed: Bool
  let bTransposed: Bool
  let outputs: [Shape]

  var gradientsAreSeparate: Bool { true }

  func forward(_ context: OperationContext<Element>) {
    for index in 0..<batch {
      Element.multiply(
        m, n, k, alpha: 1, context.input(0) + index * m * k, aTransposed ? .transposed : .plain,
        lda: aTransposed ? m : k, context.input(1) + index * k * n,
        bTransposed ? .transposed : .plain, ldb: bTransposed ? k : n, beta: 0,
        context.output() + index * m * n, ldc: n)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    for index in 0..<batch {
      let (a, b) = (context.input(0) + index * m * k, context.input(1) + index * k * n)
      let d = UnsafePointer(dy) + index * m * n
      if let da = context.inputGradient(0) {
        let to = da.base + index * m * k
        if aTransposed {  // stored [K, M]: b dy'
          Element.multiply(
            k, m, n, alpha: 1, b, bTransposed ? .transposed : .plain, lda: bTransposed ? k : n, d,
            .transposed, ldb: n, beta: da.beta, to, ldc: m)
        } else {  // [M, K]: dy b'
          Element.multiply(
            m, k, n, alpha: 1, d, .plain, lda: n, b, bTransposed ? .plain : .transposed,
            ldb: bTransposed ? k : n, beta: da.beta, to, ldc: k)
        }
      }
      if let db = context.inputGradient(1) {
        let to = db.base + index * k * n
        if bTransposed {  // stored [N, K]: dy' a
          Element.multiply(
            n, k, m, alpha: 1, d, .transposed, lda: n, a, aTransposed ? .transposed : .plain,
            ldb: aTransposed ? m : k, beta: db.beta, to, ldc: k)
        } else {  // [K, N]: a' dy
          Element.multiply(
            k, n, m, alpha: 1, a, aTransposed ? .plain : .transposed, lda: aTransposed ? m : k, d,
            .plain, ldb: n, beta: db.beta, to, ldc: n)
        }
      }
    }
  }
}

extension Tensor {
  /// `self w + bias` over the last axis.
  ///
  /// - Parameters:
  ///   - weight: `[K, N]`, with `K` the last axis of `self`.
  ///   - bias: `[N]`.
  /// - Returns: the shape of `self` with the last axis `N`.
  public func linear(_ weight: Tensor, bias: Tensor? = nil) -> Tensor {
    precondition(
      weight.shape.rank == 2 && weight.shape[0] == shape.last, "\(shape) times \(weight.shape)")
    let columns = weight.shape[1]
    precondition(bias.map { $0.shape.count == columns } ?? true)
    let operation = Linear<Element>(
      rows: shape.count / shape.last, inner: shape.last, columns: columns, hasBias: bias != nil,
      outputs: [Shape(shape.axes.dropLast() + [columns])])
    return graph.apply(operation, to: [self, weight] + (bias.map { [$0] } ?? []))[0]
  }

  /// Matrix products over equal leading axes.
  ///
  /// - Parameters:
  ///   - transposed: reads `self` as `[..., K, M]`.
  ///   - otherTransposed: reads `other` as `[..., N, K]`.
  /// - Returns: `[..., M, N]`.
  public func product(
    _ other: Tensor, transposed: Bool = false, otherTransposed: Bool = false
  ) -> Tensor {
    let (a, b) = (shape.axes, other.shape.axes)
    precondition(a.count >= 2 && a.dropLast(2) == b.dropLast(2), "\(shape) times \(other.shape)")
    let (p, q) = (a[a.count - 2], a[a.count - 1])
    let (r, s) = (b[b.count - 2], b[b.count - 1])
    let (m, k) = transposed ? (q, p) : (p, q)
    let n = otherTransposed ? r : s
    precondition(k == (otherTransposed ? s : r), "\(shape) times \(other.shape)")
    let operation = BatchedProduct<Element>(
      batch: a.dropLast(2).reduce(1, *), m: m, n: n, k: k, aTransposed: transposed,
      bTransposed: otherTransposed, outputs: [Shape(a.dropLast(2) + [m, n])])
    return graph.apply(operation, to: [self, other])[0]
  }
}
