import CKernels

/// A transform of fixed length for causal convolutions, with its factors worked out: see `fourier.inc`.
///
/// Lengths are 2^k and 3 * 2^k. Immutable, so all threads can use one plan.
public final class ConvolutionPlan<Element: Real>: Sendable {
  /// Steps of a sequence that the transform can hold.
  public let size: Int
  let table: Buffer<Element>

  /// - Parameter steps: the transform is the shortest for sequences of this many steps.
  public init(steps: Int) {
    size = Self.size(steps: steps)
    table = Buffer(ck_fourier_table(size))
    ck_fourier_prepare(Element.kernelType, size, table.base)
  }

  static func size(steps: Int) -> Int {
    var power = 16
    while power < steps { power *= 2 }
    // Between two powers of two lies 3 * 2^k.
    return power >= 32 && power / 4 * 3 >= steps ? power / 4 * 3 : power
  }
}

/// How a long convolution is computed.
public enum ConvolutionMethod: Sendable {
  /// The sum: `T^2 / 2` multiplications for each channel and sequence.
  case direct
  /// By transforms, in `O(T log T)`.
  case transform

  /// The faster one for a sequence of `steps`: measured, both are equal at about 64 steps in single
  /// precision, whatever the width.
  public static func fastest(steps: Int) -> ConvolutionMethod {
    steps <= 64 ? .direct : .transform
  }
}
