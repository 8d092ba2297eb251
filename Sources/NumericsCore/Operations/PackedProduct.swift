import CKernels

/// A product with a matrix that is packed once: for layers that are run often and not trained.
///
/// Faster than a general product where rows are few, because nothing is rearranged at the call: the register tiles
/// read the packed panels as they lie. Immutable, so that threads may share it.
public final class PackedProduct<Element: Real>: @unchecked Sendable {  // written by init only
  public enum Form: Sendable {
    /// `x w + bias`.
    case plain
    /// `max(0, x w + bias)`.
    case relu
    /// `silu(x gate) * (x w)`.
    case gated
  }

  private var kernel: ck_product
  private let packed: Buffer<Element>

  /// - Parameters:
  ///   - weight: `[inputs, outputs]`.
  ///   - gate: the same, for the gated form only.
  ///   - bias: `[outputs]`, not for the gated form.
  public init(
    inputs: Int, outputs: Int, _ form: Form = .plain, weight: UnsafePointer<Element>,
    gate: UnsafePointer<Element>? = nil, bias: UnsafePointer<Element>? = nil
  ) {
    precondition((form == .gated) == (gate != nil) && (form != .gated || bias == nil))
    let number =
      switch form {
      case .plain: CK_PRODUCT_PLAIN
      case .relu: CK_PRODUCT_RELU
      case .gated: CK_PRODUCT_GATED
      }
    kernel = ck_product(inputs: inputs, outputs: outputs, form: Int32(number))
    packed = Buffer(ck_product_packed(Element.kernelType, &kernel))
    ck_product_pack(Element.kernelType, &kernel, weight, gate, bias, packed.base)
  }

  /// `y` or, if `adds`, `y +=` the result for `rows` rows.
  ///
  /// - Parameters:
  ///   - xRow, yRow: numbers from one row to the next; as wide as the matrix if nil.
  public func apply(
    rows: Int, _ x: UnsafePointer<Element>, xRow: Int? = nil, _ y: UnsafeMutablePointer<Element>,
    yRow: Int? = nil, adds: Bool = false
  ) {
    withUnsafePointer(to: kernel) {
      ck_product_apply(
        Element.kernelType, $0, rows, x, xRow ?? $0.pointee.inputs, packed.base, y,
        yRow ?? $0.pointee.outputs, adds ? 1 : 0)
    }
  }
}
