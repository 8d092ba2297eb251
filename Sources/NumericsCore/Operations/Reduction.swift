/// Sums over one axis, times a constant.
struct AxisSum<Element: Real>: Operation {
  let outer: Int
  let length: Int
  let inner: Int
  let scale: Element
  let outputs: [Shape]

  func backwardReads(input: Int) -> Bool { false }

  func forward(_ context: OperationContext<Element>) {
    let (x, y) = (context.input(0), context.output())
    y.clear(outer * inner)
    if inner == 1 {
      Element.addRowSums(rows: outer, width: length, scale: scale, x, to: y)
      return
    }
    for index in 0..<outer {
      Element.addColumnSums(
        rows: length, width: inner, x + index * length * inner, to: y + index * inner)
    }
    if scale != 1 { Element.scale(outer * inner, scale, y, y, adds: false) }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0), let dy = context.outputGradient() else { return }
    for index in 0..<outer {
      let from = UnsafePointer(dy) + index * inner
      if inner == 1 {
        Element.fill(length, scale * from[0], dx.base + index * length, adds: dx.adds)
        continue
      }
      for position in 0..<length {
        Element.scale(
          inner, scale, from, dx.base + (index * length + position) * inner, adds: dx.adds)
      }
    }
  }
}

/// `log sum exp` over the last axis.
struct LogSumExp<Element: Real>: Operation {
  let rows: Int
  let width: Int
  let outputs: [Shape]

  var backwardReadsOutputs: Bool { true }

  func forward(_ context: OperationContext<Element>) {
    Element.logSumExp(rows: rows, width: width, context.input(0), context.output())
  }

  var scratchCount: Int { width }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0), let dy = context.outputGradient() else { return }
    let (x, y, p) = (context.input(0), context.output(), context.scratch)
    for row in 0..<rows {
      p.update(from: x + row * width, count: width)
      Element.shift(width, -y[row], p)
      Element.unary(.exp, width, p, p)
      Element.scale(width, dy[row], p, dx.base + row * width, adds: dx.adds)
    }
  }
}

/// Softmax over the last axis.
struct Softmax<Element: Real>: Operation {
  let shape: Shape

  var outputs: [Shape] { [shape] }
  func backwardReads(input: Int) -> Bool { false }
  var backwardReadsOutputs: Bool { true }

  func forward(_ context: OperationContext<Element>) {
    Element.softmax(
      rows: shape.count / shape.last, width: shape.last, context.input(0), context.output())
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0), let dy = context.outputGradient() else { return }
    let y = context.output()
    let width = shape.last
    for row in 0..<(shape.count / width) {
      let (y, dy, dx, adds) = (y + row * width, dy + row * width, dx.base + row * width, dx.adds)
      var mean: Element = 0
      for k in 0..<width { mean += y[k] * dy[k] }
      for k in 0..<width {
        let value = y[k] * (dy[k] - mean)
        dx[k] = adds ? dx[k] + value : value
      }
    }
  }
}

extension Tensor {
  /// The sum over an axis, which disappears.
  public func sum(axis: Int) -> Tensor { reduced(axis, scale: 1) }

  /// The mean over an axis, which disappears.
  public func mean(axis: Int) -> Tensor { reduced(axis, scale: 1 / Element(shape[axis])) }

  /// The sum of all numbers, a scalar.
  public func sum() -> Tensor { reshaped([shape.count]).sum(axis: 0) }

  /// The mean of all numbers, a scalar.
  public func mean() -> Tensor { reshaped([shape.count]).mean(axis: 0) }

  private func reduced(_ axis: Int, scale: Element) -> Tensor {
    precondition(axis >= 0 && axis < shape.rank)
    let axes = shape.axes
    let operation = AxisSum<Element>(
      outer: axes[..<axis].reduce(1, *), length: axes[axis],
      inner: axes[(axis + 1)...].reduce(1, *),
      scale: scale, outputs: [Shape(Array(axes[..<axis]) + Array(axes[(axis + 1)...]))])
    return graph.apply(operation, to: [self])[0]
  }

  public func softmax() -> Tensor { graph.apply(Softmax<Element>(shape: shape), to: [self])[0] }

  /// `log sum exp` over the last axis, which disappears.
  public func logSumExp() -> Tensor {
    let operation = LogSumExp<Element>(
      rows: shape.count / shape.last, width: shape.last, outputs: [Shape(shape.axes.dropLast())])
    return graph.apply(operation, to: [self])[0]
  }
}
