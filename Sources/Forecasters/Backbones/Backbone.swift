public import NumericsCore

/// A sequence mixer: maps inputs `[T, B, F]` (time-major) to outputs `[T, B, D]`, causal.
///
/// A value without parameters of its own: it reads them at fixed offsets of one flat buffer, so that it
/// can be used by many threads. What a call needs to remember is in the workspace, one per thread.
public protocol Backbone<Element>: Sendable {
  associatedtype Element: Real

  /// Width `D` of an output.
  var width: Int { get }

  /// Writes starting values into `parameters`.
  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream)

  func makeWorkspace() -> BackboneWorkspace<Element>

  /// - Parameters:
  ///   - inputs: `[T, B, F]`, unchanged until `backward` is done.
  ///   - dropout: nil outside of training.
  /// - Returns: outputs `[T, B, D]`, in the workspace.
  func forward(
    time: Int, batch: Int, inputs: UnsafePointer<Element>, parameters: UnsafePointer<Element>,
    workspace: BackboneWorkspace<Element>, dropout: inout RandomStream?
  ) -> UnsafePointer<Element>

  /// Adds the gradient of the parameters to `gradient`, for the last `forward` of this workspace.
  ///
  /// - Parameter dOutputs: gradient of the outputs `[T, B, D]`; destroyed.
  func backward(
    time: Int, batch: Int, inputs: UnsafePointer<Element>, parameters: UnsafePointer<Element>,
    dOutputs: UnsafeMutablePointer<Element>, gradient: UnsafeMutablePointer<Element>,
    workspace: BackboneWorkspace<Element>)

  /// Numbers of state per sequence for `step`.
  var stateCount: Int { get }

  /// One step of streaming in constant memory: reads `input` `[F]`, updates `state`, writes `[D]`.
  func step(
    input: UnsafePointer<Element>, parameters: UnsafePointer<Element>,
    state: UnsafeMutablePointer<Element>, output: UnsafeMutablePointer<Element>)
}

/// Scratch memory of one thread; backbones subclass it. Buffers grow at first use and stay.
open class BackboneWorkspace<Element: Real> {
  public init() {}
}
