/// Where the rows of a batch lie in a tensor: `[outer, rows, inner]`, whatever its axes are.
public struct RowLayout: Hashable, Sendable {
  /// Times that all rows come one after another: `T` of `[T, B, D]`, 1 of `[B, D]`.
  public let outer: Int
  /// Numbers of a row that lie together.
  public let inner: Int

  public init(outer: Int, inner: Int) {
    self.outer = outer
    self.inner = inner
  }
}

/// The operands of an operation whose parameter gradients are wanted for some rows of the batch only.
public struct UnitOperands: Sendable {
  /// Rows of the batch.
  public let rows: Int
  /// nil where an operand has no rows: parameters, constants, what is computed from them.
  public let inputs: [RowLayout?]
  /// nil where the place of the rows is not known.
  public let outputs: [RowLayout?]
}

/// What ``Operation/addUnitGradient(_:_:)`` reads when the backward sweep is over: it stays in memory.
public struct UnitForm: Sendable {
  /// Operands with rows.
  public var inputs: [Int]
  public var readsOutputs = false
  public var readsOutputGradients = true
  public var readsTape = false
  /// Whether it needs what `backward` leaves in the tape; else `backward` runs only where it has a gradient to
  /// give.
  public var followsBackward = false
  public var scratchCount = 0

  public init(inputs: [Int]) { self.inputs = inputs }
}

/// Gradients of every row that `backward` can leave where it would add up: for operands without rows that are far
/// smaller than what has rows.
public struct RowForm: Sendable {
  /// Of each operand without rows: where the gradients of rows lie in what is left.
  public var layouts: [Int: RowLayout]
  /// Numbers that follow the gradients of each operand, for the operation's own use.
  public var scratchCounts: [Int: Int] = [:]

  public init(_ layouts: [Int: RowLayout]) { self.layouts = layouts }
}

/// The rows of one unit, such as all windows of one series.
public struct UnitRows: Sendable {
  public let range: Range<Int>
  /// Rows of the batch.
  public let rows: Int
  /// Of the first output.
  public let layout: RowLayout
}

// Gradients of parameters for groups of rows ("units"), as private training needs them: see `UnitPlan.swift` for
// how they are computed. Every operation has them; what follows makes them faster.
extension Operation {
  /// Whether `backward` computes just the gradients that are asked for, any of them. Where it is false,
  /// all are asked for, and those that are not wanted are thrown away.
  public var gradientsAreSeparate: Bool { false }

  /// Whether `backward` leaves the tape as it found it, so that it can run again.
  public var backwardRepeats: Bool { tapeCount == 0 }

  /// What ``addUnitGradient(_:_:)`` needs; nil if the operation does not have it for such operands. Then the rows
  /// of a unit are copied together and `backward` runs on them, one by one, after another `forward` where there is
  /// a tape.
  public func unitForm(_ operands: UnitOperands) -> UnitForm? { nil }

  /// Whether `backward` can leave the gradients of every row (``OperationContext/rowGradient(_:)``); nil if not.
  /// Asked for operands without rows; it needs no `unitForm`.
  public func rowForm(_ operands: UnitOperands) -> RowForm? { nil }

  /// Adds what the rows of a unit contribute to the gradients of the operands that have no rows.
  ///
  /// The context has all rows of all operands, and gradients for the operands without rows only. It is called
  /// for one unit after another and must leave what it reads as it is.
  public func addUnitGradient(_ unit: UnitRows, _ context: OperationContext<Element>) {
    preconditionFailure("\(Self.self) has a unit form and no unit gradient")
  }
}
