/// A function of one number, applied to each; derivatives are exact.
public enum UnaryFunction: Int32, Sendable, CaseIterable {
  case exp, expm1, log, log1p, tanh, sigmoid, softplus, logSigmoid, silu, gelu, erf, sin2pi, cos2pi
  case relu, square, squareRoot, reciprocal, absolute, negate

  /// Whether the derivative is computed from the result (else from the argument).
  var derivativeReadsResult: Bool {
    switch self {
    case .exp, .expm1, .tanh, .sigmoid, .squareRoot, .reciprocal: true
    default: false
    }
  }
}

/// A function of two numbers, with broadcasting.
public enum BinaryFunction: Int32, Sendable, CaseIterable {
  case add, subtract, multiply, divide, maximum, minimum
}

struct Unary<Element: Real>: Operation {
  let function: UnaryFunction
  let shape: Shape

  var outputs: [Shape] { [shape] }
  func backwardReads(input: Int) -> Bool { !function.derivativeReadsResult }
  var backwardReadsOutputs: Bool { function.derivativeReadsResult }

  func forward(_ context: OperationContext<Element>) {
    Element.unary(function, shape.count, context.input(0), context.output())
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0), let dy = context.outputGradient() else { return }
    // The kernel reads the one of the two that still has its memory.
    let x = function.derivativeReadsResult ? UnsafePointer(context.output()) : context.input(0)
    let y = function.derivativeReadsResult ? UnsafePointer(context.output()) : x
    Element.unaryGradient(function, shape.count, x, y, dy, dx.base, adds: dx.adds)
  }
}

/// `scale x + shift`.
struct Affine<Element: Real>: Operation {
  let scale: Element
  let shift: Element
  let shape: Shape

  var outputs: [Shape] { [shape] }
  func backwardReads(input: Int) -> Bool { false }

  func forward(_ context: OperationContext<Element>) {
    let out = context.output()
    Element.scale(shape.count, scale, context.input(0), out, adds: false)
    if shift != 0 { Element.shift(shape.count, shift, out) }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0), let dy = context.outputGradient() else { return }
    Element.scale(shape.count, scale, dy, dx.base, adds: dx.adds)
  }
}

struct Binary<Element: Real>: Operation {
  let function: BinaryFunction
  private let walk: BroadcastWalk
  private let operands: [Shape]

  init(_ function: BinaryFunction, _ a: Shape, _ b: Shape) {
    self.function = function
    operands = [a, b]
    walk = BroadcastWalk(a, b)
  }

  var outputs: [Shape] { [walk.shape] }
  var gradientsAreSeparate: Bool { true }
  func backwardReads(input: Int) -> Bool { function != .add && function != .subtract }

  func rowForm(_ unit: UnitOperands) -> RowForm? {
    guard [.add, .subtract, .multiply].contains(function), let layout = unit.outputs[0] else {
      return nil
    }
    var form = RowForm([:])
    for side in 0..<2 where unit.inputs[side] == nil {
      let axes = Array(operands[side].axes.drop { $0 == 1 })
      guard unit.inputs[1 - side] == layout, operands[side].count == layout.inner,
        walk.shape.axes.suffix(axes.count) == axes[...]
      else { return nil }
      form.layouts[side] = RowLayout(outer: 1, inner: layout.inner)
    }
    return form
  }

  func forward(_ context: OperationContext<Element>) {
    let (a, b, out) = (context.input(0), context.input(1), context.output())
    walk.forEachRow { row, left, right in
      Element.binary(
        function, walk.width, a + left, walk.leftStep, b + right, walk.rightStep, out + row)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let reads = backwardReads(input: 0)
    for side in 0..<2 {
      guard let gradient = context.rowGradient(side) else { continue }
      // `[outer, rows, inner]`, of which the operand has the last: sums over the first.
      let width = gradient.rows * (side == 0 ? walk.leftCount : walk.rightCount)
      let outer = walk.shape.count / width
      gradient.base.clear(width)
      if function == .multiply {
        Element.multiplySum(
          rows: outer, width: width, context.input(1 - side), dy, to: gradient.base)
        continue
      }
      Element.addColumnSums(rows: outer, width: width, dy, to: gradient.base)
      if function == .subtract && side == 1 {
        Element.scale(width, -1, gradient.base, gradient.base, adds: false)
      }
    }
    // A sum needs no operands: theirs may be gone, so the kernel is given others.
    let a = reads ? context.input(0) : UnsafePointer(dy)
    let b = reads ? context.input(1) : UnsafePointer(dy)
    for side in 0..<2 {
      guard let gradient = context.inputGradient(side) else { continue }
      let to = gradient.cleared(side == 0 ? walk.leftCount : walk.rightCount)
      walk.forEachRow { row, left, right in
        Element.binaryGradient(
          function, side: side, walk.width, reads ? a + left : a + row, walk.leftStep,
          reads ? b + right : b + row, walk.rightStep, dy + row, to + (side == 0 ? left : right))
      }
    }
  }
}

/// The rows of a broadcast: the longest inner run over which both operands either advance or stand still.
struct BroadcastWalk: Sendable {
  let shape: Shape
  let leftCount: Int
  let rightCount: Int
  /// Length of a row, and whether (1) or not (0) an operand advances in it.
  let width: Int
  let leftStep: Int
  let rightStep: Int
  private let outer: [(size: Int, left: Int, right: Int)]

  init(_ a: Shape, _ b: Shape) {
    let shape = Shape.broadcast(a, b)
    self.shape = shape
    leftCount = a.count
    rightCount = b.count
    func strides(_ own: Shape, in shape: Shape) -> [Int] {
      let missing = shape.rank - own.rank
      let strides = own.strides
      return (0..<shape.rank).map {
        $0 < missing || own[$0 - missing] == 1 ? 0 : strides[$0 - missing]
      }
    }
    let left = strides(a, in: shape)
    let right = strides(b, in: shape)
    var width = 1
    var steps = (left: 0, right: 0)
    var axis = shape.rank - 1
    // Axes of size 1 join any run; others join while both operands go on as before.
    while axis >= 0 {
      let size = shape[axis]
      if size > 1 {
        if width == 1 {
          steps = (left[axis], right[axis])
          guard steps.left <= 1, steps.right <= 1 else { break }
        } else if left[axis] != steps.left * width || right[axis] != steps.right * width {
          break
        }
        width *= size
      }
      axis -= 1
    }
    self.width = width
    (leftStep, rightStep) = steps
    outer = axis < 0 ? [] : (0...axis).map { (shape[$0], left[$0], right[$0]) }
  }

  @inline(__always)
  func forEachRow(_ body: (_ row: Int, _ left: Int, _ right: Int) -> Void) {
    visit(0, 0, 0, 0, body)
  }

  private func visit(
    _ axis: Int, _ row: Int, _ left: Int, _ right: Int, _ body: (Int, Int, Int) -> Void
  ) {
    guard axis < outer.count else { return body(row, left, right) }
    let inner = outer[(axis + 1)...].reduce(width) { $0 * $1.size }
    let (size, leftStride, rightStride) = outer[axis]
    for index in 0..<size {
      visit(
        axis + 1, row + index * inner, left + index * leftStride, right + index * rightStride, body)
    }
  }
}

extension Tensor {
  public func map(_ function: UnaryFunction) -> Tensor {
    graph.apply(Unary(function: function, shape: shape), to: [self])[0]
  }

  public func combined(_ function: BinaryFunction, with other: Tensor) -> Tensor {
    graph.apply(Binary(function, shape, other.shape), to: [self, other])[0]
  }

  /// `scale x + shift`.
  public func scaled(by scale: Element, plus shift: Element = 0) -> Tensor {
    graph.apply(Affine(scale: scale, shift: shift, shape: shape), to: [self])[0]
  }

  public static func + (a: Tensor, b: Tensor) -> Tensor { a.combined(.add, with: b) }
  public static func - (a: Tensor, b: Tensor) -> Tensor { a.combined(.subtract, with: b) }
  public static func * (a: Tensor, b: Tensor) -> Tensor { a.combined(.multiply, with: b) }
  public static func / (a: Tensor, b: Tensor) -> Tensor { a.combined(.divide, with: b) }
}
