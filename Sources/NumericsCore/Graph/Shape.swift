/// Sizes of a tensor's axes, outermost first. Tensors are dense and row-major: the last axis lies together.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
  public let axes: [Int]
  /// Numbers in all; 1 for a scalar `[]`.
  public let count: Int

  public init(_ axes: [Int]) {
    precondition(axes.allSatisfy { $0 >= 1 }, "an axis of \(axes) is empty")
    self.axes = axes
    count = axes.reduce(1, *)
  }

  public init(arrayLiteral axes: Int...) { self.init(axes) }

  public var rank: Int { axes.count }
  public var last: Int { axes.last ?? 1 }
  public subscript(axis: Int) -> Int { axes[axis] }
  public var description: String { "\(axes)" }

  /// Elements from one index of each axis to the next.
  var strides: [Int] {
    var strides = [Int](repeating: 1, count: rank)
    for axis in stride(from: rank - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * axes[axis + 1]
    }
    return strides
  }

  /// The shape that both stretch to: axes are aligned at the last, and one of size 1 repeats.
  static func broadcast(_ a: Shape, _ b: Shape) -> Shape {
    let rank = max(a.rank, b.rank)
    func size(_ shape: Shape, _ axis: Int) -> Int {
      let own = axis - (rank - shape.rank)
      return own < 0 ? 1 : shape[own]
    }
    return Shape(
      (0..<rank).map { axis in
        let (left, right) = (size(a, axis), size(b, axis))
        precondition(left == right || left == 1 || right == 1, "\(a) and \(b) do not match")
        return max(left, right)
      })
  }
}
