import CKernels

/// A recurrent cell one step at a time, in constant memory, with weights packed once.
///
/// Not synchronised.
public final class RecurrentStepper<Element: Real> {
  public let cell: RecurrentCell
  public let batch: Int
  /// Steps back to the state that a step starts from: 1 is the ordinary cell (Chang et al. 2017).
  public let dilation: Int
  private var kernel: ck_cell
  private let padded: Int
  private let packed: Buffer<Element>
  private let work: Buffer<Element>
  /// `h` and the memory cells of the last `dilation` steps, and room for one more, in turn.
  private let h: Buffer<Element>
  private let c: Buffer<Element>
  /// Where the next step is written; the one after it is the oldest, from which it starts.
  private var next = 0

  /// - Parameters:
  ///   - batch: sequences that step together.
  ///   - input, recurrent, bias, candidateBias: the cell's parameters, as in ``RecurrentWeights``.
  ///
  /// A cell that reads gates takes rows of `G` times ``rowLength``.
  public init(
    _ cell: RecurrentCell, batch: Int, dilation: Int = 1, input: UnsafePointer<Element>?,
    recurrent: UnsafePointer<Element>, bias: UnsafePointer<Element>,
    candidateBias: UnsafePointer<Element>? = nil
  ) {
    precondition(dilation >= 1)
    self.cell = cell
    self.batch = batch
    self.dilation = dilation
    kernel = cell.kernel(reverse: false)
    let type = Element.kernelType
    padded = ck_padded(type, cell.width)
    packed = Buffer(ck_packed(type, &kernel))
    work = Buffer(ck_tape(type, &kernel, 1, batch))
    var weights = ck_weights(w: input, r: recurrent, bias: bias, bias_n: candidateBias)
    ck_pack(type, &kernel, &weights, packed.base)
    h = Buffer((dilation + 1) * batch * padded)
    c = Buffer((dilation + 1) * cell.memories * batch * padded)
  }

  /// Back to the zero state.
  public func reset() {
    h.zero()
    c.zero()
  }

  /// The state of one step: `h`, and the memory cells one after another.
  private func state(
    _ slot: Int
  ) -> (h: UnsafeMutablePointer<Element>, c: UnsafeMutablePointer<Element>) {
    let count = batch * padded
    return (h.base + slot * count, c.base + slot * count * cell.memories)
  }

  /// Reads `x` `[B, F]`; the result is `h` `[B, D]` with rows of `rowLength`, valid until the next step.
  public func step(_ x: UnsafePointer<Element>) -> UnsafePointer<Element> {
    let (before, after) = (state((next + 1) % (dilation + 1)), state(next))
    var pass = ck_pass()
    (pass.steps, pass.rows) = (1, batch)
    pass.x = UnsafeRawPointer(x)
    pass.x_row = cell.readsGates ? cell.gates * padded : cell.inputs
    (pass.h0, pass.c0) = (UnsafeRawPointer(before.h), UnsafeRawPointer(before.c))
    pass.cn = UnsafeMutableRawPointer(after.c)
    (pass.state_row, pass.state_memory) = (padded, batch * padded)
    pass.h = UnsafeMutableRawPointer(after.h)
    pass.h_row = padded
    pass.tape = UnsafeMutableRawPointer(work.base)
    ck_forward(Element.kernelType, &kernel, packed.base, &pass)
    next = (next + 1) % (dilation + 1)
    return UnsafePointer(after.h)
  }

  /// Numbers from one row of a state to the next: `D`, rounded up to whole vectors.
  public var rowLength: Int { padded }

  /// The state that the next step starts from, `h` and the memory cells one after another, rows of
  /// `rowLength`.
  public var state: (h: UnsafeMutablePointer<Element>, c: UnsafeMutablePointer<Element>) {
    state((next + 1) % (dilation + 1))
  }
}
