import CKernels

/// A recurrent cell over sequences, with weights packed once: for layers that are run often and not trained.
///
/// Immutable, so that threads may share it.
public final class PackedRecurrent<Element: Real>: @unchecked Sendable {  // written by init only
  public let cell: RecurrentCell
  private let kernel: ck_cell
  private let packed: Buffer<Element>

  /// - Parameters:
  ///   - input, recurrent, bias, candidateBias: the cell's parameters, as in ``RecurrentWeights``.
  public init(
    _ cell: RecurrentCell, input: UnsafePointer<Element>?, recurrent: UnsafePointer<Element>,
    bias: UnsafePointer<Element>, candidateBias: UnsafePointer<Element>? = nil
  ) {
    self.cell = cell
    var kernel = cell.kernel(reverse: false)
    packed = Buffer(ck_packed(Element.kernelType, &kernel))
    var weights = ck_weights(w: input, r: recurrent, bias: bias, bias_n: candidateBias)
    ck_pack(Element.kernelType, &kernel, &weights, packed.base)
    self.kernel = kernel
  }

  /// Numbers of a row of states or outputs: `D` in whole vectors.
  public var rowLength: Int { ck_padded(Element.kernelType, cell.width) }

  /// Numbers that ``apply(steps:rows:_:xTime:xRow:_:hTime:hRow:initial:last:scratch:)`` needs for itself,
  /// aligned to 64 bytes.
  public func scratchCount(steps: Int, rows: Int) -> Int {
    withUnsafePointer(to: kernel) {
      ck_tape(Element.kernelType, $0, steps, rows)
    }
  }

  /// `h` and the memory cells, of which each begins `memory` numbers after the one before; rows of
  /// ``rowLength``.
  public struct State {
    public let h: UnsafeMutablePointer<Element>
    public let c: UnsafeMutablePointer<Element>
    public let memory: Int

    public init(
      h: UnsafeMutablePointer<Element>, c: UnsafeMutablePointer<Element>, memory: Int
    ) {
      (self.h, self.c, self.memory) = (h, c, memory)
    }
  }

  /// Reads `x[t * xTime + row * xRow + input]` and writes ``rowLength`` numbers at `h[t * hTime + row * hRow]`.
  ///
  /// - Parameters:
  ///   - initial: zero if nil.
  ///   - last: receives the memory cells after the last step, not `h`.
  public func apply(
    steps: Int, rows: Int, _ x: UnsafePointer<Element>, xTime: Int, xRow: Int,
    _ h: UnsafeMutablePointer<Element>, hTime: Int, hRow: Int, initial: State? = nil,
    last: State? = nil, scratch: UnsafeMutablePointer<Element>
  ) {
    var pass = ck_pass()
    (pass.steps, pass.rows) = (steps, rows)
    pass.x = UnsafeRawPointer(x)
    (pass.x_time, pass.x_row) = (xTime, xRow)
    pass.state_row = rowLength
    if let initial {
      pass.h0 = UnsafeRawPointer(initial.h)
      if cell.memories > 0 { pass.c0 = UnsafeRawPointer(initial.c) }
      pass.state_memory = initial.memory
    }
    if let last {
      precondition(initial.map { $0.memory == last.memory } ?? true)
      pass.cn = UnsafeMutableRawPointer(last.c)
      pass.state_memory = last.memory
    }
    pass.h = UnsafeMutableRawPointer(h)
    (pass.h_time, pass.h_row) = (hTime, hRow)
    pass.tape = UnsafeMutableRawPointer(scratch)
    // As if for a backward pass: the inputs of many steps are then multiplied at once.
    pass.keep = 1
    withUnsafePointer(to: kernel) { ck_forward(Element.kernelType, $0, packed.base, &pass) }
  }
}
