/// ``Tensor/depthwiseConvolved(_:)`` one step at a time: it keeps as many inputs as the kernel has taps. Not
/// synchronised.
public final class DepthwiseStepper<Element: Real>: LayerStepper {
  private let width: Int
  private let taps: Int
  private let batch: Int
  private let kernel: Buffer<Element>
  private let past: Buffer<Element>
  private var newest = 0

  /// - Parameter kernel: `[K, D]`, tap 0 the newest; copied.
  public init(width: Int, taps: Int, batch: Int, kernel: UnsafePointer<Element>) {
    (self.width, self.taps, self.batch) = (width, taps, batch)
    self.kernel = Buffer(Array(UnsafeBufferPointer(start: kernel, count: taps * width)))
    past = Buffer(taps * batch * width)
  }

  public func run(_ context: OperationContext<Element>) {
    let (row, y) = (batch * width, context.output())
    newest = (newest + 1) % taps
    (past.base + newest * row).update(from: context.input(0), count: row)
    y.clear(row)
    for tap in 0..<taps {
      Element.multiplyAdd(
        rows: batch, width: width, past.base + (newest + taps - tap) % taps * row,
        kernel.base + tap * width, to: y)
    }
  }

  public func reset() { past.zero() }
}
