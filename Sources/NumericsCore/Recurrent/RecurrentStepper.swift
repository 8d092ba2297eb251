import CKernels

/// A recurrent cell one step at a time, in constant memory, with weights packed once.
///
/// Not synchronised.
public final class RecurrentStepper<Element: Real> {
  public let cell: RecurrentCell
  public let batch: Int
  private var kernel: ck_cell
  private let padded: Int
  private let packed: Buffer<Element>
  private let work: Buffer<Element>
  /// `h` and the memory cells before and after a step; they change places.
  private var h: (Buffer<Element>, Buffer<Element>)
  private var c: (Buffer<Element>, Buffer<Element>)

  /// - Parameters:
  ///   - batch: sequences that step together.
  ///   - input, recurrent, bias, candidateBias: the cell's parameters, as in ``RecurrentWeights``.
  ///
  /// A cell that reads gates takes rows of `G` times ``rowLength``.
  public init(
    _ cell: RecurrentCell, batch: Int, input: UnsafePointer<Element>?,
    recurrent: UnsafePointer<Element>, bias: UnsafePointer<Element>,
    candidateBias: UnsafePointer<Element>? = nil
  ) {
    self.cell = cell
    self.batch = batch
    kernel = cell.kernel(reverse: false)
    let type = Element.kernelType
    padded = ck_padded(type, cell.width)
    packed = Buffer(ck_packed(type, &kernel))
    work = Buffer(ck_tape(type, &kernel, 1, batch))
    var weights = ck_weights(w: input, r: recurrent, bias: bias, bias_n: candidateBias)
    ck_pack(type, &kernel, &weights, packed.base)
    func states(_ count: Int) -> Buffer<Element> {
      Buffer(count * batch * ck_padded(type, cell.width))
    }
    h = (states(1), states(1))
    c = (states(cell.memories), states(cell.memories))
  }

  /// Back to the zero state.
  public func reset() {
    h.0.zero()
    c.0.zero()
  }

  /// Reads `x` `[B, F]`; the result is `h` `[B, D]` with rows of `rowLength`, valid until the next step.
  public func step(_ x: UnsafePointer<Element>) -> UnsafePointer<Element> {
    var pass = ck_pass()
    (pass.steps, pass.rows) = (1, batch)
    pass.x = UnsafeRawPointer(x)
    pass.x_row = cell.readsGates ? cell.gates * padded : cell.inputs
    (pass.h0, pass.c0) = (UnsafeRawPointer(h.0.base), UnsafeRawPointer(c.0.base))
    pass.cn = UnsafeMutableRawPointer(c.1.base)
    (pass.state_row, pass.state_memory) = (padded, batch * padded)
    pass.h = UnsafeMutableRawPointer(h.1.base)
    pass.h_row = padded
    pass.tape = UnsafeMutableRawPointer(work.base)
    ck_forward(Element.kernelType, &kernel, packed.base, &pass)
    h = (h.1, h.0)
    c = (c.1, c.0)
    return UnsafePointer(h.0.base)
  }

  /// Numbers from one row of a state to the next: `D`, rounded up to whole vectors.
  public var rowLength: Int { padded }

  /// The state, `h` and the memory cells one after another, rows of `rowLength`.
  public var state: (h: UnsafeMutablePointer<Element>, c: UnsafeMutablePointer<Element>) {
    (h.0.base, c.0.base)
  }
}
