// Names: shape letters B, T, D, N.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CKernels
import Foundation

/// Multi-head softmax attention of a sequence to itself (Vaswani et al. 2017, equation 1): with `s_ij = q_i . k_j /
/// sqrt(D)`, `y_i = sum over j of softmax(s_i)_j v_j`.
///
/// Causal attention reads, at step `i`, the steps `i - window + 1 ... i`. With rotary positions (Su et al. 2021)
/// queries and keys are turned by angles that grow with their step, so that scores depend on its distance: number
/// `d` of the first half of a head and number `d` of the second turn by `base^(-2d / D)` radians a step.
public struct Attention: Hashable, Sendable {
  /// Heads `N`.
  public let heads: Int
  /// Width `D` of a head.
  public let width: Int
  /// Steps that a step reads, itself included; nil where attention is not causal: all read all.
  public let window: Int?
  /// Base of the angles of rotary positions; nil for none.
  public let rotaryBase: Double?

  /// - Parameter rotaryBase: 10000 is usual.
  public init(heads: Int, width: Int, window: Int?, rotaryBase: Double? = nil) {
    precondition(heads >= 1 && width >= 1 && (window ?? 1) >= 1 && (rotaryBase ?? 2) > 1)
    self.heads = heads
    self.width = width
    self.window = window
    self.rotaryBase = rotaryBase
  }

  func kernel(steps: Int, batch: Int, first: Int = 0) -> ck_attention {
    ck_attention(
      steps: steps, batch: batch, heads: heads, width: width, first: first,
      causal: window == nil ? 0 : 1, window: window ?? steps, scale: 1 / Double(width).squareRoot())
  }

  /// Cosines, then sines, of one step: `[2, D / 2]`; empty without rotary positions.
  func rotation<Element: Real>(step: Int, _ to: UnsafeMutablePointer<Element>) {
    guard let rotaryBase else { return }
    for d in 0..<(width / 2) {
      let angle = Double(step) * pow(rotaryBase, -2 * Double(d) / Double(width))
      to[d] = Element(cos(angle))
      to[width / 2 + d] = Element(sin(angle))
    }
  }

  /// Numbers of ``rotation(step:_:)``.
  var rotationCount: Int { rotaryBase == nil ? 0 : width / 2 * 2 }
}

/// ``Attention`` over whole sequences, fused: see `attention.inc`.
///
/// Inputs: `q k v` `[T, B, 3 N D]`, then, with rotary positions, the angles' `[T, 2, D / 2]`. Result: the steps
/// from `first` on, `[T - first, B, N D]`.
///
/// Arithmetic of a pair of steps that see each other, and head: `4 D` operations and an exponential forward, `10 D`
/// and an exponential backward. Memory from forward to backward: the result, and a number for each step and head.
struct SelfAttention<Element: Real>: Operation {
  let layer: Attention
  let steps: Int
  let batch: Int
  let first: Int

  private var kernel: ck_attention { layer.kernel(steps: steps, batch: batch, first: first) }
  private var isTurned: Bool { layer.rotationCount > 0 }

  var outputs: [Shape] { [[steps - first, batch, layer.heads * layer.width]] }
  var backwardReadsOutputs: Bool { true }
  var tapeCount: Int {
    withUnsafePointer(to: kernel) { ck_attention_tape(Element.kernelType, $0) }
  }
  var scratchCount: Int {
    withUnsafePointer(to: kernel) { ck_attention_scratch(Element.kernelType, $0) }
  }

  func forward(_ context: OperationContext<Element>) {
    var kernel = kernel
    ck_attention_forward(
      Element.kernelType, &kernel, context.input(0), isTurned ? context.input(1) : nil,
      context.output(), context.tape, context.scratch)
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dqkv = context.inputGradient(0), let dy = context.outputGradient() else { return }
    var kernel = kernel
    ck_attention_backward(
      Element.kernelType, &kernel, context.input(0), isTurned ? context.input(1) : nil,
      context.output(), dy, context.tape, dqkv.base, dqkv.adds ? 1 : 0, context.scratch)
  }
}

extension Tensor {
  /// Attention of this sequence of queries, keys and values `[T, B, 3 N D]` to itself.
  ///
  /// - Parameter first: the first step whose result is wanted.
  /// - Returns: `[T - first, B, N D]`.
  public func attention(_ layer: Attention, from first: Int = 0) -> Tensor {
    precondition(
      shape.rank == 3 && shape[2] == 3 * layer.heads * layer.width, "\(shape) for \(layer)")
    precondition((0..<shape[0]).contains(first), "step \(first) of \(shape[0])")
    let operation = SelfAttention<Element>(
      layer: layer, steps: shape[0], batch: shape[1], first: first)
    let count = layer.rotationCount
    guard count > 0 else { return graph.apply(operation, to: [self])[0] }
    var numbers = [Element](repeating: 0, count: shape[0] * count)
    numbers.withUnsafeMutableBufferPointer {
      for step in 0..<shape[0] { layer.rotation(step: step, $0.baseAddress! + step * count) }
    }
    return graph.apply(operation, to: [self, graph.constant(numbers, [shape[0], count])])[0]
  }
}

/// Causal ``Attention`` one step at a time: keys and values of the window, `2 N D` numbers a step, are kept.
///
/// Arithmetic of a step is that of a row of scores. Not synchronised.
public final class AttentionStepper<Element: Real>: LayerStepper {
  private let layer: Attention
  private var kernel: ck_attention
  private let cache: Buffer<Element>
  private let scratch: Buffer<Element>
  private let rotation: Buffer<Element>
  private var position = 0

  /// - Precondition: the layer is causal.
  public init(_ layer: Attention, batch: Int) {
    precondition(layer.window != nil, "attention that reads the future has no steps")
    self.layer = layer
    kernel = layer.kernel(steps: 1, batch: batch)
    cache = Buffer(ck_attention_cache(Element.kernelType, &kernel))
    scratch = Buffer(ck_attention_step_scratch(Element.kernelType, &kernel))
    rotation = Buffer(layer.rotationCount)
  }

  /// Reads `q k v` `[B, 3 N D]` and writes `[B, N D]`.
  public func step(_ qkv: UnsafePointer<Element>, _ y: UnsafeMutablePointer<Element>) {
    layer.rotation(step: position, rotation.base)
    ck_attention_step(
      Element.kernelType, &kernel, position, qkv,
      layer.rotationCount > 0 ? UnsafeRawPointer(rotation.base) : nil, y, cache.base, scratch.base)
    position += 1
  }

  public func run(_ context: OperationContext<Element>) { step(context.input(0), context.output()) }

  /// What the cache holds beyond the steps so far is not read.
  public func reset() { position = 0 }
}
