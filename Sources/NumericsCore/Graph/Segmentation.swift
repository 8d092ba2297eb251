// Names: shape letters B, T.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

/// A part of a graph over a sequence `[T, B, ...]` that runs for a few rows of the batch after another, and for those
/// segment after segment of time, each from the states that the one before ended with: what it computes stays in
/// the processor's cache whatever the length and the batch.
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
  let batch: Int
  /// Rows of a segment, which divide the batch.
  let rows: Int
  /// Numbers of a step and row of each sequence.
  let widths: [Int]
  /// Numbers of each state of a segment.
  let stateCounts: [Int]
  let recomputes: Bool
  let outputs: [Shape]

  /// Segments of the same rows, and all.
  private var segments: Int { (steps + length - 1) / length }
  private var count: Int { segments * (batch / rows) }
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
  func backwardReads(input: Int) -> Bool { input < widths.count }

  /// A segment in its memory.
  private struct Entered {
    let segment: Segment
    let execution: Execution<Element>
    let steps: Range<Int>
    let firstRow: Int
    let isFirst: Bool
    let isLast: Bool
  }

  /// Calls `body` for what lies together: offsets in a sequence of the segment and in the whole one, and how many.
  private func forBlocks(_ entered: Entered, width: Int, _ body: (Int, Int, Int) -> Void) {
    let (first, count) = (entered.steps.lowerBound, entered.steps.count)
    if rows == batch { return body(0, first * batch * width, count * batch * width) }
    for t in 0..<count {
      body(t * rows * width, ((first + t) * batch + entered.firstRow) * width, rows * width)
    }
  }

  private func enter(_ number: Int, _ context: OperationContext<Element>) -> Entered {
    let (tile, place) = (number / segments, number % segments)
    let first = place * length
    let own = min(length, steps - first)
    let memory =
      recomputes
      ? context.scratch + aligned
      : context.tape + (context.isDifferentiated ? number * distance : 0)
    return Entered(
      segment: own == length ? whole : rest!,
      execution: context.nested(own == length ? 0 : 1, in: memory, part: number),
      steps: first..<(first + own), firstRow: tile * rows, isFirst: place == 0,
      isLast: place == segments - 1)
  }

  /// Computes a segment from its states.
  private func run(
    _ entered: Entered, _ context: OperationContext<Element>, from states: UnsafePointer<Element>
  ) {
    let (segment, inner) = (entered.segment, entered.execution)
    for (k, id) in segment.sequences.enumerated() {
      let (from, to) = (context.input(k), inner.pointer(segment.plan.values[id]))
      forBlocks(entered, width: widths[k]) { (to + $0).update(from: from + $1, count: $2) }
    }
    var from = states
    for (id, count) in zip(segment.states, stateCounts) {
      inner.pointer(segment.plan.values[id]).update(from: from, count: count)
      from += count
    }
    inner.runForward()
  }

  func forward(_ context: OperationContext<Element>) {
    let states = context.scratch
    let width = outputs[0].count / (steps * batch)
    for number in 0..<count {
      let entered = enter(number, context)
      if entered.isFirst { states.clear(state) }
      if recomputes, context.isDifferentiated {
        (context.tape + number * state).update(from: states, count: state)
      }
      run(entered, context, from: states)
      let (segment, inner) = (entered.segment, entered.execution)
      let (from, to) = (inner.pointer(segment.plan.values[segment.result]), context.output())
      forBlocks(entered, width: width) { (to + $1).update(from: from + $0, count: $2) }
      var last = states
      for (id, count) in zip(segment.nextStates, stateCounts) {
        last.update(from: inner.pointer(segment.plan.values[id]), count: count)
        last += count
      }
    }
  }

  func backward(_ context: OperationContext<Element>) {
    guard let dy = context.outputGradient() else { return }
    let dStates = context.scratch
    let width = outputs[0].count / (steps * batch)
    for number in (0..<count).reversed() {
      let entered = enter(number, context)
      if recomputes { run(entered, context, from: context.tape + number * state) }
      if entered.isLast { dStates.clear(state) }
      let (inner, plan) = (entered.execution, entered.segment.plan)
      // Results may be parts of one another: all are cleared before any is added to.
      for (place, count) in plan.given { inner.gradientPointer(place).clear(count) }
      if let place = plan.gradients[entered.segment.result] {
        let to = inner.gradientPointer(place)
        forBlocks(entered, width: width) { Element.add($2, dy + $1, to: to + $0) }
      }
      var from = dStates
      for (id, count) in zip(entered.segment.nextStates, stateCounts) {
        if let place = plan.gradients[id] {
          Element.add(count, from, to: inner.gradientPointer(place))
        }
        from += count
      }
      inner.runBackward()
      for (k, id) in entered.segment.sequences.enumerated() {
        guard let wanted = context.inputGradient(k) else { continue }
        let from = plan.gradients[id].map { inner.gradientPointer($0) }
        forBlocks(entered, width: widths[k]) {
          if let from {
            Element.scale($2, 1, from + $0, wanted.base + $1, adds: wanted.adds)
          } else if !wanted.adds {
            (wanted.base + $1).clear($2)
          }
        }
      }
      var to = dStates
      for (id, count) in zip(entered.segment.states, stateCounts) {
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

  /// Appends a part over sequences `[T, B, ...]` that reads no later step and no other row: where the whole would take
  /// more than twice ``segmentBytes``, for a few rows after another and by segments of time, else as it is.
  ///
  /// Results are those of the whole, up to rounding; a dropout draws other numbers.
  ///
  /// - Parameters:
  ///   - rows: the most that are computed together where not all are.
  ///   - recomputes: whether the backward pass computes segments again rather than reading what was kept.
  ///   - part: writes the part into a graph, from that graph's copies of the sequences; returns `[T, B, ...]`.
  public func segmented(
    _ sequences: [Tensor<Element>], rows most: Int = 4, recomputes: Bool = false,
    _ part: (Graph, [Tensor<Element>], CarriedStates<Element>) -> Tensor<Element>
  ) -> Tensor<Element> {
    let (T, B) = (sequences[0].shape[0], sequences[0].shape[1])
    precondition(
      sequences.allSatisfy { $0.shape[0] == T && $0.shape[1] == B }, "sequences of unequal size")
    func whole() -> Tensor<Element> {
      guard recomputes else { return part(self, sequences, .none) }
      return recomputed(sequences) { [part($0, $1, .none)] }[0]
    }
    guard let segmentBytes else { return whole() }
    let divisor = (1...min(most, B)).last { B % $0 == 0 }!
    let rows = 2 * divisor >= min(most, B) ? divisor : B

    func make(_ length: Int) -> (Segmented<Element>.Segment, Graph, Shape, [Shape]) {
      let inner = Graph()
      let copies = sequences.map {
        inner.input(
          Shape([length, rows] + $0.shape.axes.dropFirst(2)),
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
    let unit = min(T, Self.segmentUnit)
    let bytes = make(unit).0.plan.peakBytes
    guard bytes * (T / unit) * (B / rows) > 2 * segmentBytes else { return whole() }
    // Segments of about one length.
    let steps = max(1, segmentBytes * unit / bytes)
    let segments = max(1, (T + steps / 2) / steps)
    let length =
      segments == 1 ? T : min(T, ((T + segments - 1) / segments + unit - 1) / unit * unit)
    guard length < T || rows < B else { return whole() }
    let (segment, inner, shape, states) = make(length)
    let operation = Segmented(
      whole: segment, rest: T % length == 0 ? nil : make(T % length).0, length: length, steps: T,
      batch: B, rows: rows, widths: sequences.map { $0.shape.count / (T * B) },
      stateCounts: states.map(\.count), recomputes: recomputes,
      outputs: [Shape([T, B] + shape.axes.dropFirst(2))])
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
