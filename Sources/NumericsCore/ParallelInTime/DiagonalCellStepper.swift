/// A diagonal cell with its input weights, one step at a time in constant memory.
///
/// Reads the parameters where they lie; they must outlive it. Not synchronised.
public final class DiagonalCellStepper<Element: Real> {
  public let cell: DiagonalCell
  public let inputs: Int
  public let batch: Int
  private let input: UnsafePointer<Element>
  private let bias: UnsafePointer<Element>
  private let recurrent: UnsafePointer<Element>
  private let peephole: UnsafePointer<Element>?
  private let u: Buffer<Element>
  /// `h` and `c` before and after a step; they change places.
  private var h: (Buffer<Element>, Buffer<Element>)
  private var c: (Buffer<Element>, Buffer<Element>)

  /// - Parameters:
  ///   - input: `[F, 3 D]`.
  ///   - bias: `[3 D]`.
  ///   - recurrent: `[3, D]`.
  ///   - peephole: `[2, D]`, for `paraLSTM` only.
  public init(
    _ cell: DiagonalCell, inputs: Int, batch: Int, input: UnsafePointer<Element>,
    bias: UnsafePointer<Element>, recurrent: UnsafePointer<Element>,
    peephole: UnsafePointer<Element>? = nil
  ) {
    precondition((peephole != nil) == cell.hasMemory)
    self.cell = cell
    self.inputs = inputs
    self.batch = batch
    self.input = input
    self.bias = bias
    self.recurrent = recurrent
    self.peephole = peephole
    let count = batch * cell.width
    u = Buffer(DiagonalCell.gates * count)
    h = (Buffer(count), Buffer(count))
    c = (Buffer(cell.hasMemory ? count : 0), Buffer(cell.hasMemory ? count : 0))
  }

  /// Back to the zero state.
  public func reset() {
    h.0.zero()
    c.0.zero()
  }

  /// Reads `x` `[B, F]`; the result is `h` `[B, D]`, valid until the next step.
  public func step(_ x: UnsafePointer<Element>) -> UnsafePointer<Element> {
    let columns = DiagonalCell.gates * cell.width
    Element.broadcast(rows: batch, width: columns, bias, to: u.base)
    Element.multiply(
      batch, columns, inputs, alpha: 1, x, .plain, lda: inputs, input, .plain, ldb: columns,
      beta: 1,
      u.base, ldc: columns)
    let recurrence = DiagonalRecurrence<Element>(cell, steps: 1, batch: batch, threads: 1)
    recurrence.sequential(
      .init(
        u: u.base, recurrent: recurrent, peephole: peephole, h0: h.0.base, c0: c.0.base,
        h: h.1.base,
        c: cell.hasMemory ? c.1.base : nil, gates: nil, jacobian: nil))
    h = (h.1, h.0)
    c = (c.1, c.0)
    return UnsafePointer(h.0.base)
  }

  /// The state `[B, D]`, `h` and, of an LSTM, `c`.
  public var state: (h: UnsafeMutablePointer<Element>, c: UnsafeMutablePointer<Element>?) {
    (h.0.base, cell.hasMemory ? c.0.base : nil)
  }
}
