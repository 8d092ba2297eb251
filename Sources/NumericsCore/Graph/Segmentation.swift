// Names: shape letters B, T.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

/// A part of a graph over a sequence `[T, B, ...]` that runs segment after segment of time, each from the states
/// that the one before ended with, so that what it computes stays in the processor's cache whatever the length.
///
/// What the backward pass reads of a segment either stays where it was computed, or is computed again. It stays on
/// the tape: segments follow one another at the distance of what they keep, and what a segment needs for itself
/// lies where the next one will be in the forward pass, and has been in the backward pass.
struct Segmented<Element: Real>: Operation {
  /// The part for one segment.
  struct Segment {
    let plan: Plan<Element>
    /// Values of the inner graph, by number.
    let sequences: [Int]
    let states: [Int]
    let result: Int
    let nextStates: [Int]
  }

  /// Of `length` steps, and what is left of them.
  let whole: Segment
  let rest: Segment?
  let length: Int
  let steps: Int
  /// Numbers of a step of each sequence.
  let rows: [Int]
  /// Numbers of each state.
  let stateCounts: [Int]
  let recomputes: Bool
  let outputs: [Shape]

  private var count: Int { (steps + length - 1) / length }
  private var state: Int { stateCounts.reduce(0, +) }
  private var arena: Int { max(whole.plan.arenaCount, rest?.plan.arenaCount ?? 0) }
  /// Numbers from one segment on the tape to the next.
  private var distance: Int { recomputes ? state : (whole.plan.keptCount + 15) / 16 * 16 }

  var plans: [Plan<Element>] { [whole.plan] + (rest.map { [$0.plan] } ?? []) }
  /// Tape: the states before every segment if segments are computed again, else their memory.
  var tapeCount: Int { recomputes ? count * state : (count - 1) * distance + arena }
  /// Without a gradient all segments have one memory.
  var undifferentiatedTapeCount: Int { recomputes ? 0 : arena }
  /// Scratch: the states between two segments, or their gradient; the memory of a segment that is computed again.
  var scratchCount: Int { aligned + (recomputes ? arena : 0) }
  private var aligned: Int { (state + 15) / 16 * 16 }
  func backwardReads(input: Int) -> Bool { input < rows.count }

  /// A segment in its memory.
  private func enter(
    _ number: Int, _ context: OperationContext<Element>
  ) -> (segment: Segment, execution: Execution<Element>, steps: Range<Int>) {
    let first = number * length
    let own = min(length, steps - first)
    let memory =
      recomputes
      ? context.scratch + aligned
      : context.tape + (context.isDifferentiated ? number * distance : 0)
    let inner = context.nested(own == length ? 0 : 1, in: memory, part: number)
    return (own == length ? whole : rest!, inner, first..<(first + own))
  }

  /// Computes a segment from its states.
  private func run(
    _ number: Int, _ context: OperationContext<Element>, from states: UnsafePointer<Element>
  ) -> (segment: Segment, execution: Execution<Element>, steps: Range<Int>) {
    let (segment, inner, own) = enter(number, context)
    for (k, id) in segment.sequences.enumerated() {
      inner.pointer(segment.plan.values[id]).update(
        from: context.input(k) + own.lowerBound * rows[k], count: own.count * rows[k])
    }
    var from = states
    for (id, count) in zip(segment.states, stateCounts) {
      inner.pointer(segment.plan.values[id]).update(from: from, count: count)
      from += count
    }
    inner.runForward()
    return (segment, inner, own)
  }

  func forward(_ context: OperationContext<Element>) {
    let states = context.scratch
    let row = outputs[0].count / steps
    states.clear(state)
    for number in 0..<count {
      if recomputes, context.isDifferentiated {
        (context.tape + number * state).update(from: states, count: state)
      }
      let (segment, inner, own) = run(number, context, from: states)
      (context.output() + own.lowerBound * row).update(
        from: inner.pointer(segment.plan.values[segment.result]), count: own.count * row)
      var to = states
      for (id, count) in zip(segment.nextStates, stateCounts) {
        to.update(from: inner.pointer(segment.plan.values[id]), count: count)
        to += count
      }
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let dStates = context.scratch
    let row = outputs[0].count / steps
    dStates.clear(state)
    for number in (0..<count).reversed() {
      let (segment, inner, own) =
        recomputes
        ? run(number, context, from: context.tape + number * state) : enter(number, context)
      let plan = segment.plan
      // Results may be parts of one another: all are cleared before any is added to.
      for (place, count) in plan.given { inner.gradientPointer(place).clear(count) }
      if let place = plan.gradients[segment.result] {
        Element.add(
          own.count * row, dy + own.lowerBound * row, to: inner.gradientPointer(place))
      }
      var from = dStates
      for (id, count) in zip(segment.nextStates, stateCounts) {
        if let place = plan.gradients[id] {
          Element.add(count, from, to: inner.gradientPointer(place))
        }
        from += count
      }
      inner.runBackward()
      for (k, id) in segment.sequences.enumerated() {
        guard let wanted = context.inputGradient(k) else { continue }
        let (to, count) = (wanted.base + own.lowerBound * rows[k], own.count * rows[k])
        if let place = plan.gradients[id] {
          Element.scale(count, 1, inner.gradientPointer(place), to, adds: wanted.adds)
        } else if !wanted.adds {
          to.clear(count)
        }
      }
      var to = dStates
      for (id, count) in zip(segment.states, stateCounts) {
        if let place = plan.gradients[id] {
          to.update(from: inner.gradientPointer(place), count: count)
        } else {
          to.clear(count)
        }
        to += count
      }
    }
  }
}

/// The states that a part of a graph takes over from the segment before it and hands to the next.
public final class CarriedStates<Element: Real> {
  /// nil where the sequence is one segment.
  private let graph: Graph<Element>?
  fileprivate var initial: [Tensor<Element>] = []
  fileprivate var last: [Tensor<Element>] = []

  fileprivate init(_ graph: Graph<Element>?) { self.graph = graph }

  /// A whole sequence from the zero state.
  public static var none: CarriedStates { CarriedStates(nil) }

  /// Writes a layer with states.
  ///
  /// - Parameters:
  ///   - shapes: of the states.
  ///   - layer: from the states before the segment, nil for zeros, to its result and the states after it.
  public func layer(
    _ shapes: [Shape], _ layer: ([Tensor<Element>]?) -> (Tensor<Element>, [Tensor<Element>])
  ) -> Tensor<Element> {
    guard let graph else { return layer(nil).0 }
    let before = shapes.map { graph.input($0, differentiable: true) }
    let (result, after) = layer(before)
    precondition(after.map(\.shape) == shapes, "states change their shape")
    initial += before
    last += after
    return result
  }
}

extension Graph {
  /// Steps of a segment are a multiple of this, which chunks of the kernels divide.
  private static var segmentUnit: Int { 64 }

  /// Appends a part over sequences `[T, B, ...]` that reads no later step: in segments of time where the whole would
  /// take more than four times ``segmentBytes``, else as it is.
  ///
  /// Results are those of the whole sequence, up to rounding; a dropout draws other numbers.
  ///
  /// - Parameters:
  ///   - recomputes: whether the backward pass computes segments again rather than reading what was kept.
  ///   - part: writes the part into a graph, from that graph's copies of the sequences; returns `[T, B, ...]`.
  public func segmented(
    _ sequences: [Tensor<Element>], recomputes: Bool = false,
    _ part: (Graph, [Tensor<Element>], CarriedStates<Element>) -> Tensor<Element>
  ) -> Tensor<Element> {
    let T = sequences[0].shape[0]
    precondition(sequences.allSatisfy { $0.shape[0] == T }, "sequences of unequal length")
    let unit = Self.segmentUnit
    func whole() -> Tensor<Element> {
      guard recomputes else { return part(self, sequences, .none) }
      return recomputed(sequences) { [part($0, $1, .none)] }[0]
    }
    guard let segmentBytes, T > unit else { return whole() }

    func make(_ length: Int) -> (Segmented<Element>.Segment, Graph, Shape, [Shape]) {
      let inner = Graph()
      let copies = sequences.map {
        inner.input(
          Shape([length] + $0.shape.axes.dropFirst()),
          differentiable: values[$0.id].isDifferentiable)
      }
      let carried = CarriedStates(inner)
      let result = part(inner, copies, carried)
      let plan = Plan(inner, results: [result] + carried.last, keptFirst: !recomputes)
      return (
        Segmented.Segment(
          plan: plan, sequences: copies.map(\.id), states: carried.initial.map(\.id),
          result: result.id, nextStates: carried.last.map(\.id)),
        inner, result.shape, carried.initial.map(\.shape)
      )
    }
    let bytes = make(unit).0.plan.peakBytes
    // Shorter sequences share the last level of cache with other cores' without much harm.
    guard bytes * T / unit > 4 * segmentBytes else { return whole() }
    let most = unit * max(1, segmentBytes / bytes)
    // Segments of about one length.
    let length = (T / max(1, (T + most / 2) / most) + unit - 1) / unit * unit
    guard length < T else { return whole() }
    let (segment, inner, shape, states) = make(length)
    let operation = Segmented(
      whole: segment, rest: T % length == 0 ? nil : make(T % length).0, length: length, steps: T,
      rows: sequences.map { $0.shape.count / T }, stateCounts: states.map(\.count),
      recomputes: recomputes, outputs: [Shape([T] + shape.axes.dropFirst())])
    return apply(operation, to: sequences + parameters(of: inner))[0]
  }

  /// Parameters that an inner graph reads, as operands of this one: that makes a part differentiable where only they
  /// are.
  func parameters(of inner: Graph) -> [Tensor<Element>] {
    inner.values.compactMap { value in
      guard case .parameter(let offset) = value.source else { return nil }
      return parameter(value.shape, offset: offset)
    }
  }
}
