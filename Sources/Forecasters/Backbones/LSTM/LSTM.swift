// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// Stacked LSTM (Hochreiter & Schmidhuber 1997, forget gate of Gers et al. 2000).
///
/// `i, f, o = sigmoid(.)`, `g = tanh(.)` of `x Wx + h R + b`; `c' = f c + i g`; `h' = o tanh(c')`. One bias
/// per gate. Gates lie in the order i f g o.
///
/// Starting values: `Wx` Xavier uniform, `R` orthogonal per gate, forget bias 1 (Jozefowicz et al. 2015),
/// other biases 0. Cost of a step: 8 B D (F + D) flops forward, twice that backward; memory 7 D numbers
/// per sequence and step for each layer.
public struct LSTM<Element: Real>: Backbone {
  struct Layer: Sendable {
    let inputs: Int
    let inputWeight: Int  // [F, 4 D]
    let recurrentWeight: Int  // [D, 4 D]
    let bias: Int  // [4 D]
  }

  public let width: Int
  let layers: [Layer]
  let dropout: Double

  public init(
    inputs: Int, hidden: Int, layers count: Int, dropout: Double, layout: inout ParameterLayout
  ) {
    width = hidden
    self.dropout = dropout
    layers = (0..<count).map { index in
      let inputs = index == 0 ? inputs : hidden
      return Layer(
        inputs: inputs,
        inputWeight: layout.add("backbone.\(index).input_weight", [inputs, 4 * hidden]),
        recurrentWeight: layout.add("backbone.\(index).recurrent_weight", [hidden, 4 * hidden]),
        bias: layout.add("backbone.\(index).bias", [4 * hidden]))
    }
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    let D = width
    for layer in layers {
      let bound = (6 / Double(layer.inputs + D)).squareRoot()
      for k in 0..<(layer.inputs * 4 * D) {
        parameters[layer.inputWeight + k] = Element((2 * stream.uniform() - 1) * bound)
      }
      for gate in 0..<4 {
        let q = Orthogonal.matrix(D, using: &stream)
        for row in 0..<D {
          for column in 0..<D {
            parameters[layer.recurrentWeight + row * 4 * D + gate * D + column] =
              Element(q[row * D + column])
          }
        }
      }
      for k in 0..<D { parameters[layer.bias + D + k] = 1 }
    }
  }

  // MARK: Whole sequences

  final class Workspace: BackboneWorkspace<Element> {
    struct Activations {
      let gates = Buffer<Element>(0)  // [T, B, 4 D]
      let c = Buffer<Element>(0)  // [T, B, D], like the next two
      let tanhC = Buffer<Element>(0)
      let h = Buffer<Element>(0)
      let mask = Buffer<Element>(0)  // dropout of h on its way up
      let dropped = Buffer<Element>(0)
      let dInputs = Buffer<Element>(0)
    }

    var layers: [Activations] = []
    let dc = Buffer<Element>(0)  // [B, D]
    let transposed = Buffer<Element>(0)  // R as [4 D, D], so that products are NN
    var droppedOut = false
  }

  public func makeWorkspace() -> BackboneWorkspace<Element> {
    let workspace = Workspace()
    workspace.layers = layers.map { _ in Workspace.Activations() }
    return workspace
  }

  public func forward(
    time T: Int, batch B: Int, inputs: UnsafePointer<Element>,
    parameters: UnsafePointer<Element>, workspace: BackboneWorkspace<Element>,
    dropout stream: inout RandomStream?
  ) -> UnsafePointer<Element> {
    forward(
      time: T, batch: B, inputs: inputs, parameters: parameters, initial: nil,
      workspace: workspace, dropout: &stream)
  }

  /// The same from a state that is not zero, so that a sequence can be read in parts.
  ///
  /// - Parameter initial: `[layers, 2, B, D]`, `h` before `c`; what `finalState` gave for the part before.
  public func forward(
    time T: Int, batch B: Int, inputs: UnsafePointer<Element>,
    parameters: UnsafePointer<Element>, initial: UnsafePointer<Element>?,
    workspace: BackboneWorkspace<Element>, dropout stream: inout RandomStream?
  ) -> UnsafePointer<Element> {
    let workspace = workspace as! Workspace  // made by makeWorkspace of this type
    let D = width
    workspace.droppedOut = stream != nil && dropout > 0
    var x = inputs
    for (index, layer) in layers.enumerated() {
      let a = workspace.layers[index]
      a.gates.reserve(T * B * 4 * D)
      for buffer in [a.c, a.tanhC, a.h] { buffer.reserve(T * B * D) }
      let G = a.gates.base
      // One product projects the inputs of all steps.
      Element.broadcast(rows: T * B, width: 4 * D, parameters + layer.bias, to: G)
      Element.multiply(
        T * B, 4 * D, layer.inputs, alpha: 1, x, .plain, lda: layer.inputs,
        parameters + layer.inputWeight, .plain, ldb: 4 * D, beta: 1, G, ldc: 4 * D)
      for t in 0..<T {
        let gates = G + t * B * 4 * D
        let at = t * B * D
        let before = (t - 1) * B * D
        let h0 = initial.map { $0 + index * 2 * B * D }
        let h = t > 0 ? UnsafePointer(a.h.base + before) : h0
        if let h {
          Element.multiply(
            B, 4 * D, D, alpha: 1, h, .plain, lda: D,
            parameters + layer.recurrentWeight, .plain, ldb: 4 * D, beta: 1, gates, ldc: 4 * D)
        }
        Element.lstmForward(
          rows: B, width: D, gates: gates,
          cPrevious: t > 0 ? UnsafePointer(a.c.base + before) : h0.map { $0 + B * D },
          c: a.c.base + at, tanhC: a.tanhC.base + at, h: a.h.base + at)
      }
      x = UnsafePointer(a.h.base)
      if workspace.droppedOut, index < layers.count - 1 {
        x = drop(a, count: T * B * D, &stream!)
      }
    }
    return x
  }

  /// Copies the state after the last step of the last `forward` to `out` `[layers, 2, B, D]`.
  public func finalState(
    time T: Int, batch B: Int, workspace: BackboneWorkspace<Element>,
    to out: UnsafeMutablePointer<Element>
  ) {
    let workspace = workspace as! Workspace  // made by makeWorkspace of this type
    let count = B * width
    for (index, a) in workspace.layers.enumerated() {
      (out + 2 * index * count).update(from: a.h.base + (T - 1) * count, count: count)
      (out + (2 * index + 1) * count).update(from: a.c.base + (T - 1) * count, count: count)
    }
  }

  private func drop(
    _ a: Workspace.Activations, count: Int, _ stream: inout RandomStream
  ) -> UnsafePointer<Element> {
    a.mask.reserve(count)
    a.dropped.reserve(count)
    let keep = Element(1 / (1 - dropout))
    for k in 0..<count {
      let factor: Element = stream.uniform() < dropout ? 0 : keep
      a.mask.base[k] = factor
      a.dropped.base[k] = a.h.base[k] * factor
    }
    return UnsafePointer(a.dropped.base)
  }

  public func backward(
    time T: Int, batch B: Int, inputs: UnsafePointer<Element>,
    parameters: UnsafePointer<Element>, dOutputs: UnsafeMutablePointer<Element>,
    gradient: UnsafeMutablePointer<Element>, workspace: BackboneWorkspace<Element>
  ) {
    backward(
      time: T, batch: B, inputs: inputs, parameters: parameters, initial: nil, dOutputs: dOutputs,
      gradient: gradient, dInitial: nil, dInputs: nil, workspace: workspace)
  }

  /// The same for a `forward` from `initial`.
  ///
  /// - Parameters:
  ///   - dInitial: gradient of `initial`, overwritten; nil if not wanted.
  ///   - dInputs: gradient of `inputs`, overwritten; nil if not wanted.
  public func backward(
    time T: Int, batch B: Int, inputs: UnsafePointer<Element>,
    parameters: UnsafePointer<Element>, initial: UnsafePointer<Element>?,
    dOutputs: UnsafeMutablePointer<Element>, gradient: UnsafeMutablePointer<Element>,
    dInitial: UnsafeMutablePointer<Element>?, dInputs: UnsafeMutablePointer<Element>?,
    workspace: BackboneWorkspace<Element>
  ) {
    let workspace = workspace as! Workspace  // made by makeWorkspace of this type
    let D = width
    workspace.dc.reserve(B * D)
    workspace.transposed.reserve(4 * D * D)
    var dH = dOutputs
    for index in layers.indices.reversed() {
      let layer = layers[index]
      let a = workspace.layers[index]
      transpose(parameters + layer.recurrentWeight, rows: D, columns: 4 * D, workspace.transposed)
      let h0 = initial.map { $0 + index * 2 * B * D }
      workspace.dc.zero(B * D)
      for t in stride(from: T - 1, through: 0, by: -1) {
        let gates = a.gates.base + t * B * 4 * D
        let at = t * B * D
        Element.lstmBackward(
          rows: B, width: D, gates: gates,
          cPrevious: t > 0 ? UnsafePointer(a.c.base + at - B * D) : h0.map { $0 + B * D },
          tanhC: a.tanhC.base + at, dh: dH + at, dc: workspace.dc.base)
        if t > 0 {
          Element.multiply(
            B, D, 4 * D, alpha: 1, gates, .plain, lda: 4 * D, workspace.transposed.base, .plain,
            ldb: D, beta: 1, dH + at - B * D, ldc: D)
        }
      }
      // The gates now hold their gradients: the weights' follow as large products over all steps.
      let dG = a.gates.base
      let below: Workspace.Activations? = index > 0 ? workspace.layers[index - 1] : nil
      let x =
        below.map { UnsafePointer(workspace.droppedOut ? $0.dropped.base : $0.h.base) } ?? inputs
      Element.multiply(
        layer.inputs, 4 * D, T * B, alpha: 1, x, .transposed, lda: layer.inputs, dG, .plain,
        ldb: 4 * D, beta: 1, gradient + layer.inputWeight, ldc: 4 * D)
      if T > 1 {
        Element.multiply(
          D, 4 * D, (T - 1) * B, alpha: 1, a.h.base, .transposed, lda: D, dG + B * 4 * D, .plain,
          ldb: 4 * D, beta: 1, gradient + layer.recurrentWeight, ldc: 4 * D)
      }
      if let h0 {
        Element.multiply(
          D, 4 * D, B, alpha: 1, h0, .transposed, lda: D, dG, .plain, ldb: 4 * D, beta: 1,
          gradient + layer.recurrentWeight, ldc: 4 * D)
      }
      if let dInitial {
        let dh0 = dInitial + index * 2 * B * D
        Element.multiply(
          B, D, 4 * D, alpha: 1, dG, .plain, lda: 4 * D, workspace.transposed.base, .plain,
          ldb: D, beta: 0, dh0, ldc: D)
        (dh0 + B * D).update(from: workspace.dc.base, count: B * D)
      }
      if index == 0, let dInputs {
        Element.multiply(
          T * B, layer.inputs, 4 * D, alpha: 1, dG, .plain, lda: 4 * D,
          parameters + layer.inputWeight, .transposed, ldb: 4 * D, beta: 0, dInputs,
          ldc: layer.inputs)
      }
      Element.addColumnSums(rows: T * B, width: 4 * D, dG, to: gradient + layer.bias)
      if let below {
        below.dInputs.reserve(T * B * D)
        Element.multiply(
          T * B, D, 4 * D, alpha: 1, dG, .plain, lda: 4 * D, parameters + layer.inputWeight,
          .transposed, ldb: 4 * D, beta: 0, below.dInputs.base, ldc: D)
        dH = below.dInputs.base
        if workspace.droppedOut {
          for k in 0..<(T * B * D) { dH[k] *= below.mask.base[k] }
        }
      }
    }
  }

  private func transpose(
    _ matrix: UnsafePointer<Element>, rows: Int, columns: Int, _ out: Buffer<Element>
  ) {
    for row in 0..<rows {
      for column in 0..<columns { out.base[column * rows + row] = matrix[row * columns + column] }
    }
  }

  // MARK: Streaming

  /// `h` and `c` of every layer.
  public var stateCount: Int { layers.count * 2 * width }

  public func step(
    input: UnsafePointer<Element>, parameters: UnsafePointer<Element>,
    state: UnsafeMutablePointer<Element>, output: UnsafeMutablePointer<Element>
  ) {
    let D = width
    var x = input
    withUnsafeTemporaryAllocation(of: Element.self, capacity: 6 * D) { scratch in
      let gates = scratch.baseAddress!
      let c = gates + 4 * D
      let tanhC = c + D
      for (index, layer) in layers.enumerated() {
        let h = state + index * 2 * D
        Element.broadcast(rows: 1, width: 4 * D, parameters + layer.bias, to: gates)
        Element.multiply(
          1, 4 * D, layer.inputs, alpha: 1, x, .plain, lda: layer.inputs,
          parameters + layer.inputWeight, .plain, ldb: 4 * D, beta: 1, gates, ldc: 4 * D)
        Element.multiply(
          1, 4 * D, D, alpha: 1, h, .plain, lda: D, parameters + layer.recurrentWeight, .plain,
          ldb: 4 * D, beta: 1, gates, ldc: 4 * D)
        Element.lstmForward(
          rows: 1, width: D, gates: gates, cPrevious: h + D, c: c, tanhC: tanhC, h: h)
        (h + D).update(from: c, count: D)
        x = UnsafePointer(h)
      }
    }
    output.update(from: x, count: D)
  }
}

/// Random orthogonal matrices: QR of a normal matrix by modified Gram-Schmidt, twice for accuracy.
enum Orthogonal {
  static func matrix(_ n: Int, using stream: inout RandomStream) -> [Double] {
    var a = (0..<(n * n)).map { _ in stream.normal() }
    for row in 0..<n {
      for _ in 0..<2 {
        for earlier in 0..<row {
          var dot = 0.0
          for k in 0..<n { dot += a[row * n + k] * a[earlier * n + k] }
          for k in 0..<n { a[row * n + k] -= dot * a[earlier * n + k] }
        }
      }
      var norm = 0.0
      for k in 0..<n { norm += a[row * n + k] * a[row * n + k] }
      let scale = 1 / norm.squareRoot()
      for k in 0..<n { a[row * n + k] *= scale }
    }
    return a
  }
}
