import NumericsCore

/// Recurrent layers one above another as a stream. Not synchronised.
final class RecurrentStackStepper<Element: Real>: BackboneStepper {
  private let blocks: [[RecurrentStepper<Element>]]
  private let isResidual: Bool
  /// Results of a layer without the padding of its rows: what the next one reads.
  private let row: Buffer<Element>
  /// What came into a block.
  private let before: Buffer<Element>

  /// - Parameters:
  ///   - blocks: layers from the lowest on, all of one width.
  ///   - residual: whether every block after the first adds its input to its output.
  init(_ blocks: [[RecurrentStepper<Element>]], residual: Bool) {
    self.blocks = blocks
    isResidual = residual
    let first = blocks[0][0]
    row = Buffer(first.batch * first.cell.width)
    before = Buffer(residual ? row.count : 0)
  }

  func step(_ input: UnsafePointer<Element>, _ output: UnsafeMutablePointer<Element>) {
    var x = input
    for (index, block) in blocks.enumerated() {
      let adds = isResidual && index > 0
      if adds { before.base.update(from: row.base, count: row.count) }
      for layer in block {
        let h = layer.step(x)
        let width = layer.cell.width
        for b in 0..<layer.batch {
          (row.base + b * width).update(from: h + b * layer.rowLength, count: width)
        }
        x = UnsafePointer(row.base)
      }
      if adds { Element.add(row.count, before.base, to: row.base) }
    }
    output.update(from: row.base, count: row.count)
  }
}
