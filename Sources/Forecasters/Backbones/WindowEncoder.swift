public import NumericsCore

/// Reads the observed window: maps inputs `[T, B, F]` (time-major) to one state `[B, D]`.
///
/// A value without numbers of its own: it knows where its parameters lie in the flat buffer, and writes
/// itself into a graph, which differentiates it.
public protocol WindowEncoder<Element>: Sendable {
  associatedtype Element: Real

  /// Width `D` of the state.
  var width: Int { get }

  /// Writes starting values into `parameters`.
  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream)

  /// Appends the encoder to the graph of `inputs` `[T, B, F]`; returns `[B, D]`.
  func encode(_ inputs: Tensor<Element>) -> Tensor<Element>

  /// The same with less kept for the backward pass, which computes it again.
  func encodeRecomputed(_ inputs: Tensor<Element>) -> Tensor<Element>
}

extension WindowEncoder {
  /// Everything is computed again as one part.
  public func encodeRecomputed(_ inputs: Tensor<Element>) -> Tensor<Element> {
    inputs.graph.recomputed([inputs]) { _, copies in [encode(copies[0])] }[0]
  }
}
