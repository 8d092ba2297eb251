/// Copies a part of every block of `outer`: a slice, or one part of a concatenation.
struct Slice<Element: Real>: Operation {
  let outer: Int
  /// Numbers in a block of the input, where the part begins in it, and how many it has.
  let block: Int
  let start: Int
  let length: Int
  let outputs: [Shape]

  func backwardReads(input: Int) -> Bool { false }

  func forward(_ context: OperationContext<Element>) {
    let (x, y) = (context.input(0), context.output())
    for index in 0..<outer {
      (y + index * length).update(from: x + index * block + start, count: length)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0), let dy = context.outputGradient() else { return }
    let to = dx.cleared(outer * block)
    for index in 0..<outer {
      Element.add(length, dy + index * length, to: to + index * block + start)
    }
  }
}

/// Joins tensors along an axis.
struct Concatenation<Element: Real>: Operation {
  let outer: Int
  /// Numbers of each input in one block.
  let lengths: [Int]
  let outputs: [Shape]

  func backwardReads(input: Int) -> Bool { false }
  private var block: Int { lengths.reduce(0, +) }

  func forward(_ context: OperationContext<Element>) {
    var start = 0
    for (part, length) in lengths.enumerated() {
      let x = context.input(part)
      for index in 0..<outer {
        (context.output() + index * block + start).update(from: x + index * length, count: length)
      }
      start += length
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    var start = 0
    for (part, length) in lengths.enumerated() {
      defer { start += length }
      guard let dx = context.inputGradient(part) else { continue }
      for index in 0..<outer {
        Element.scale(
          length, 1, dy + index * block + start, dx.base + index * length, adds: dx.adds)
      }
    }
  }
}

/// Exchanges two neighbouring groups of axes: `[outer, a, b, inner]` becomes `[outer, b, a, inner]`.
struct Exchange<Element: Real>: Operation {
  let outer: Int
  let a: Int
  let b: Int
  let inner: Int
  let outputs: [Shape]

  func backwardReads(input: Int) -> Bool { false }

  func forward(_ context: OperationContext<Element>) {
    let (x, y) = (context.input(0), context.output())
    for o in 0..<outer {
      for i in 0..<a {
        for j in 0..<b {
          (y + ((o * b + j) * a + i) * inner).update(
            from: x + ((o * a + i) * b + j) * inner, count: inner)
        }
      }
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0), let dy = context.outputGradient() else { return }
    for o in 0..<outer {
      for i in 0..<a {
        for j in 0..<b {
          Element.scale(
            inner, 1, dy + ((o * b + j) * a + i) * inner,
            dx.base + ((o * a + i) * b + j) * inner, adds: dx.adds)
        }
      }
    }
  }
}

/// The numbers of each row in reverse order.
struct Reversal<Element: Real>: Operation {
  let shape: Shape

  var outputs: [Shape] { [shape] }
  func backwardReads(input: Int) -> Bool { false }

  func forward(_ context: OperationContext<Element>) {
    let (x, y, width) = (context.input(0), context.output(), shape.last)
    for start in stride(from: 0, to: shape.count, by: width) {
      for k in 0..<width { y[start + k] = x[start + width - 1 - k] }
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0), let dy = context.outputGradient() else { return }
    let (to, width) = (dx.cleared(shape.count), shape.last)
    for start in stride(from: 0, to: shape.count, by: width) {
      for k in 0..<width { to[start + k] += dy[start + width - 1 - k] }
    }
  }
}

/// Rows of a table by number: `table` `[N, D]`, numbers given as numbers of the work type.
struct Embedding<Element: Real>: Operation {
  let rows: Int
  let width: Int
  let count: Int
  let outputs: [Shape]

  func backwardReads(input: Int) -> Bool { input == 1 }

  private func row(_ number: Element) -> Int {
    let row = Int(number)
    precondition(row >= 0 && row < rows, "row \(row) of \(rows)")
    return row
  }

  func forward(_ context: OperationContext<Element>) {
    let (table, numbers) = (context.input(0), context.input(1))
    for index in 0..<count {
      (context.output() + index * width).update(
        from: table + row(numbers[index]) * width, count: width)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let gradient = context.inputGradient(0), let dy = context.outputGradient() else { return }
    let numbers = context.input(1)
    let to = gradient.cleared(rows * width)
    for index in 0..<count {
      Element.add(width, dy + index * width, to: to + row(numbers[index]) * width)
    }
  }
}

/// `x` where the mask is 1, `other` where it is 0.
struct Select<Element: Real>: Operation {
  let shape: Shape

  var outputs: [Shape] { [shape] }
  func backwardReads(input: Int) -> Bool { input == 0 }

  func forward(_ context: OperationContext<Element>) {
    let (mask, x, other, y) = (
      context.input(0), context.input(1), context.input(2), context.output()
    )
    for k in 0..<shape.count { y[k] = mask[k] != 0 ? x[k] : other[k] }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let mask = context.input(0)
    for (side, gradient) in [context.inputGradient(1), context.inputGradient(2)].enumerated() {
      guard let gradient else { continue }
      let to = gradient.cleared(shape.count)
      for k in 0..<shape.count where (mask[k] != 0) == (side == 0) { to[k] += dy[k] }
    }
  }
}

/// Dropout (Srivastava et al. 2014), inverted: what stays is divided by the probability to stay.
struct Dropout<Element: Real>: Operation {
  let shape: Shape
  let rate: Double
  let purpose: String

  var outputs: [Shape] { [shape] }
  var tapeCount: Int { shape.count }
  func backwardReads(input: Int) -> Bool { false }

  func forward(_ context: OperationContext<Element>) {
    let (x, y, factors) = (context.input(0), context.output(), context.tape)
    guard context.isTraining else {
      y.update(from: x, count: shape.count)
      factors.update(repeating: 1, count: shape.count)
      return
    }
    var stream = context.stream(purpose)
    let keep = Element(1 / (1 - rate))
    for k in 0..<shape.count {
      factors[k] = stream.uniform() < rate ? 0 : keep
      y[k] = x[k] * factors[k]
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dx = context.inputGradient(0), let dy = context.outputGradient() else { return }
    let factors = context.tape
    for k in 0..<shape.count {
      dx.base[k] = (dx.adds ? dx.base[k] : 0) + dy[k] * factors[k]
    }
  }
}

extension Tensor {
  /// The same numbers under another shape; costs nothing.
  public func reshaped(_ shape: Shape) -> Tensor {
    precondition(shape.count == self.shape.count, "\(self.shape) as \(shape)")
    return graph.view(self, shape)
  }

  /// One index of the first axis, which disappears; costs nothing.
  public subscript(index: Int) -> Tensor {
    precondition(shape.rank >= 1 && index >= 0 && index < shape[0])
    let rest = Shape(Array(shape.axes.dropFirst()))
    return graph.view(self, rest, offset: index * rest.count)
  }

  /// A range of an axis.
  public func slice(axis: Int, _ range: Range<Int>) -> Tensor {
    precondition(range.lowerBound >= 0 && range.upperBound <= shape[axis] && !range.isEmpty)
    let inner = shape.axes[(axis + 1)...].reduce(1, *)
    var axes = shape.axes
    axes[axis] = range.count
    let outer = shape.axes[..<axis].reduce(1, *)
    if outer == 1 { return graph.view(self, Shape(axes), offset: range.lowerBound * inner) }
    let operation = Slice<Element>(
      outer: outer, block: shape[axis] * inner, start: range.lowerBound * inner,
      length: range.count * inner, outputs: [Shape(axes)])
    return graph.apply(operation, to: [self])[0]
  }

  /// Tensors joined along an axis; the others are equal.
  public static func joined(_ parts: [Tensor], axis: Int) -> Tensor {
    var axes = parts[0].shape.axes
    let inner = axes[(axis + 1)...].reduce(1, *)
    axes[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
    let operation = Concatenation<Element>(
      outer: axes[..<axis].reduce(1, *), lengths: parts.map { $0.shape[axis] * inner },
      outputs: [Shape(axes)])
    return parts[0].graph.apply(operation, to: parts)[0]
  }

  /// Two neighbouring axes exchanged, `axis` and the next.
  public func exchanged(axis: Int) -> Tensor {
    var axes = shape.axes
    axes.swapAt(axis, axis + 1)
    let operation = Exchange<Element>(
      outer: shape.axes[..<axis].reduce(1, *), a: shape[axis], b: shape[axis + 1],
      inner: shape.axes[(axis + 2)...].reduce(1, *), outputs: [Shape(axes)])
    return graph.apply(operation, to: [self])[0]
  }

  /// The last axis in reverse order.
  public var reversed: Tensor { graph.apply(Reversal<Element>(shape: shape), to: [self])[0] }

  /// Rows of this table `[N, D]`: `numbers` of any shape become `[..., D]`.
  public func rows(_ numbers: Tensor) -> Tensor {
    precondition(shape.rank == 2)
    let operation = Embedding<Element>(
      rows: shape[0], width: shape[1], count: numbers.shape.count,
      outputs: [Shape(numbers.shape.axes + [shape[1]])])
    return graph.apply(operation, to: [self, numbers])[0]
  }

  /// `self` where `mask` is not 0, `other` elsewhere; all of one shape.
  public func selected(where mask: Tensor, otherwise other: Tensor) -> Tensor {
    precondition(mask.shape == shape && other.shape == shape)
    return graph.apply(Select<Element>(shape: shape), to: [mask, self, other])[0]
  }

  /// - Parameters:
  ///   - rate: probability of becoming 0, below 1; nothing happens outside of training.
  ///   - purpose: names the random numbers.
  public func dropout(_ rate: Double, purpose: String) -> Tensor {
    guard rate > 0 else { return self }
    return graph.apply(Dropout<Element>(shape: shape, rate: rate, purpose: purpose), to: [self])[0]
  }
}
