public import NumericsCore

/// A sequence mixer: maps inputs `[T, B, F]` (time-major) to outputs `[T, B, D]`, causal.
public protocol Backbone<Element>: WindowEncoder {
  /// Appends the whole sequence to the graph of `inputs` `[T, B, F]`.
  func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element>

  /// The same with less kept for the backward pass, which computes it again: equal results, less memory, one
  /// forward pass more.
  func applyRecomputed(to inputs: Tensor<Element>) -> BackboneOutput<Element>

  /// The same one step at a time, in constant memory, for `batch` sequences from the zero state.
  func makeStepper(_ parameters: UnsafePointer<Element>, batch: Int) -> any BackboneStepper<Element>
}

extension Backbone {
  public func encode(_ inputs: Tensor<Element>) -> Tensor<Element> { apply(to: inputs).last }

  public func encodeRecomputed(_ inputs: Tensor<Element>) -> Tensor<Element> {
    applyRecomputed(to: inputs).last
  }

  /// Everything is computed again as one part.
  public func applyRecomputed(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    let results = inputs.graph.recomputed([inputs]) { _, copies in
      let output = apply(to: copies[0])
      return [output.all, output.last]
    }
    return BackboneOutput(all: results[0], last: results[1])
  }
}

/// What a backbone makes of a sequence.
public struct BackboneOutput<Element: Real> {
  /// `[T, B, D]`.
  public let all: Tensor<Element>
  /// `[B, D]`: of the last step, all that a direct head reads.
  public let last: Tensor<Element>
}

/// A backbone that reads a stream. Not synchronised.
public protocol BackboneStepper<Element>: AnyObject {
  associatedtype Element: Real

  /// Reads `input` `[B, F]` and writes `[B, D]` to `output`.
  func step(_ input: UnsafePointer<Element>, _ output: UnsafeMutablePointer<Element>)
}
