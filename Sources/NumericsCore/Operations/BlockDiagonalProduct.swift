import CKernels

/// Products with block-diagonal matrices, several side by side: `w` `[parts, heads, K, N]` and for each part an
/// input `[..., heads K]` give `[..., parts heads N]`.
///
/// `heads` times less arithmetic than a dense matrix; see `blocks.inc`.
struct BlockDiagonalProduct<Element: Real>: Operation {
  let rows: Int
  let heads: Int
  let inputs: Int
  let columns: Int
  /// For each part the operand that it reads; the weight comes after all of these.
  let sources: [Int]
  let outputs: [Shape]

  var gradientsAreSeparate: Bool { true }
  private var weight: Int { sources.max()! + 1 }
  private var kernel: ck_blocks {
    ck_blocks(rows: rows, parts: sources.count, heads: heads, inputs: inputs, outputs: columns)
  }
  var scratchCount: Int {
    withUnsafePointer(to: kernel) { ck_blocks_scratch(Element.kernelType, $0) }
  }

  func forward(_ context: OperationContext<Element>) {
    var kernel = kernel
    withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: sources.count) { x in
      for (part, source) in sources.enumerated() {
        x[part] = UnsafeRawPointer(context.input(source))
      }
      ck_blocks_forward(
        Element.kernelType, &kernel, x.baseAddress, context.input(weight), context.output(),
        context.scratch)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let count = sources.count
    var kernel = kernel
    let dw = context.inputGradient(weight)?.cleared(count * heads * inputs * columns)
    withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: count) { x in
      withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer?.self, capacity: count) { dx in
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: count) { adds in
          for (part, source) in sources.enumerated() {
            x[part] = UnsafeRawPointer(context.input(source))
            let gradient = context.inputGradient(source)
            dx[part] = gradient.map { UnsafeMutableRawPointer($0.base) }
            // Parts that read the same operand add up.
            adds[part] = (gradient?.adds ?? false) || sources[..<part].contains(source) ? 1 : 0
          }
          ck_blocks_backward(
            Element.kernelType, &kernel, x.baseAddress, context.input(weight), dy, dx.baseAddress,
            adds.baseAddress, dw, context.scratch)
        }
      }
    }
  }
}

extension Tensor {
  /// Products of block-diagonal matrices with tensors of one shape, side by side.
  ///
  /// - Parameters:
  ///   - parts: `[..., heads K]` for each matrix; the same tensor may come several times.
  ///   - weight: `[parts, heads, K, N]`.
  /// - Returns: `[..., parts heads N]`.
  public static func blockDiagonalProducts(_ parts: [Tensor], weight: Tensor) -> Tensor {
    let shape = parts[0].shape
    let (heads, inputs, columns) = (weight.shape[1], weight.shape[2], weight.shape[3])
    precondition(weight.shape[0] == parts.count && shape.last == heads * inputs)
    precondition(parts.allSatisfy { $0.shape == shape })
    var distinct: [Tensor] = []
    let sources = parts.map { part in
      if let index = distinct.firstIndex(where: { $0.id == part.id }) { return index }
      distinct.append(part)
      return distinct.count - 1
    }
    let operation = BlockDiagonalProduct<Element>(
      rows: shape.count / shape.last, heads: heads, inputs: inputs, columns: columns,
      sources: sources,
      outputs: [Shape(shape.axes.dropLast() + [parts.count * heads * columns])])
    return weight.graph.apply(operation, to: distinct + [weight])[0]
  }
}

/// The same on rows that lie in memory, for steps of a stream.
extension Real {
  /// `y` `[rows, parts heads N]` of `x`, one `[rows, heads K]` for each part, and `weight`
  /// `[parts, heads, K, N]`.
  ///
  /// - Parameter scratch: as many numbers as ``blockDiagonalScratch(rows:parts:heads:inputs:columns:)`` says.
  public static func blockDiagonalProducts(
    rows: Int, heads: Int, inputs: Int, columns: Int, _ x: [UnsafePointer<Self>],
    weight: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>,
    scratch: UnsafeMutablePointer<Self>
  ) {
    var kernel = ck_blocks(
      rows: rows, parts: x.count, heads: heads, inputs: inputs, outputs: columns)
    withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: x.count) { parts in
      for (part, pointer) in x.enumerated() { parts[part] = UnsafeRawPointer(pointer) }
      ck_blocks_forward(kernelType, &kernel, parts.baseAddress, weight, y, scratch)
    }
  }

  public static func blockDiagonalScratch(
    rows: Int, parts: Int, heads: Int, inputs: Int, columns: Int
  ) -> Int {
    var kernel = ck_blocks(
      rows: rows, parts: parts, heads: heads, inputs: inputs, outputs: columns)
    return ck_blocks_scratch(kernelType, &kernel)
  }
}
