import CKernels

/// A recurrent cell over a whole sequence, fused: see `recurrent.inc`.
///
/// Inputs: `x` `[T, B, F]`, the weights, then, as far as there are any, mask `[T, B]`, `h0` and the memory
/// cells `[B, D]`. Results: all `h` `[T, B, D]`, the last `h` and the last memory cells.
///
/// Arithmetic of a step and sequence: `2 G D (F + D / heads)` operations forward, three times that with the
/// gradient. Memory from forward to backward: 5 (LSTM), 4 (GRU), 1 (Elman) or 8 (sLSTM) numbers for each unit, step and
/// sequence beside the results.
struct RecurrentSequence<Element: Real>: Operation {
  let cell: RecurrentCell
  let steps: Int
  let batch: Int
  let isReverse: Bool
  let hasMask: Bool
  let hasState: Bool

  private let kernel: ck_cell
  /// Units rounded up to whole vectors, and whether rows must be copied for that.
  private let padded: Int
  private let paddedInputs: Int
  private let inputParts: Int

  init(
    _ cell: RecurrentCell, steps: Int, batch: Int, isReverse: Bool, hasMask: Bool, hasState: Bool
  ) {
    self.cell = cell
    self.steps = steps
    self.batch = batch
    self.isReverse = isReverse
    self.hasMask = hasMask
    self.hasState = hasState
    kernel = cell.kernel(reverse: isReverse)
    padded = ck_padded(Element.kernelType, cell.width)
    // Gates that are read lie in rows of their own.
    inputParts = cell.readsGates ? cell.gates : 1
    paddedInputs = inputParts * ck_padded(Element.kernelType, cell.inputs / inputParts)
  }

  private var state: Shape { [batch, cell.width] }
  var outputs: [Shape] {
    [[steps, batch, cell.width], state] + [Shape](repeating: state, count: cell.memories)
  }
  var backwardReadsOutputs: Bool { isWhole }
  // The packed weights keep what backward needs of the weights themselves.
  func backwardReads(input: Int) -> Bool { input == 0 }

  /// Whether rows are whole vectors, so that the kernels write where the results belong.
  private var isWhole: Bool { padded == cell.width }

  // MARK: Gradients of units

  // All weights or none.
  var gradientsAreSeparate: Bool { true }

  func unitForm(_ operands: UnitOperands) -> UnitForm? {
    // Rows of a batch are one or more whole rows of the cell.
    guard operands.outputs[0]?.outer == steps, batch % operands.rows == 0,
      cell.readsGates || operands.inputs[0]?.outer == steps,
      operands.inputs[1...].prefix(afterWeights - 1).allSatisfy({ $0 == nil })
    else { return nil }
    // Of gates that are read the weights' gradient needs no more than the tape has.
    var form = UnitForm(inputs: cell.readsGates ? [] : [0])
    form.readsOutputs = isWhole
    form.readsOutputGradients = false
    form.readsTape = true
    form.followsBackward = true
    form.scratchCount = withUnsafePointer(to: kernel) {
      ck_unit_scratch(Element.kernelType, $0, steps)
    }
    return form
  }

  @specialized(where Element == Float)
  func addUnitGradient(_ unit: UnitRows, _ context: OperationContext<Element>) {
    var (kernel, pass) = (kernel, pass(context))
    var gradients = weightGradients(context)!
    let each = batch / unit.rows
    ck_unit_gradients(
      Element.kernelType, &kernel, &pass, unit.range.lowerBound * each, unit.range.count * each,
      &gradients, context.scratch)
  }

  /// nil where none are wanted.
  private func weightGradients(_ context: OperationContext<Element>) -> ck_weight_gradients? {
    func gradient(_ input: Int, _ count: Int) -> UnsafeMutableRawPointer? {
      context.inputGradient(input).map { UnsafeMutableRawPointer($0.cleared(count)) }
    }
    let w = cell.readsGates ? nil : gradient(1, cell.inputShape.count)
    let r = gradient(recurrent, cell.recurrentShape.count)
    let bias = gradient(recurrent + 1, cell.biasShape.count)
    let wanted = [w != nil || cell.readsGates, r != nil, bias != nil]
    precondition(
      wanted.allSatisfy { $0 == (r != nil) } || (cell.readsGates && (r != nil) == (bias != nil)),
      "the weights of a recurrent cell are differentiated together")
    guard let r, let bias else { return nil }
    return ck_weight_gradients(
      w: w, r: r, bias: bias,
      bias_n: cell.hasCandidateBias ? gradient(recurrent + 2, cell.width) : nil)
  }

  // MARK: Places in the tape and the scratch memory

  /// The operand that is the recurrent weight; the biases follow.
  private var recurrent: Int { cell.readsGates ? 1 : 2 }
  /// The first operand after the weights.
  private var afterWeights: Int { recurrent + (cell.hasCandidateBias ? 3 : 2) }
  private var kernelTape: Int {
    withUnsafePointer(to: kernel) { ck_tape(Element.kernelType, $0, steps, batch) }
  }
  private var packedCount: Int {
    withUnsafePointer(to: kernel) { ck_packed(Element.kernelType, $0) }
  }
  private func aligned(_ count: Int) -> Int { (count + 15) / 16 * 16 }
  private var maskCount: Int {
    hasMask ? aligned(steps * batch / MemoryLayout<Element>.size + 1) : 0
  }
  private var stateCount: Int { aligned(batch * padded) }
  /// Gates that are read and do not lie in whole vectors.
  private var gateCount: Int {
    cell.readsGates && !isWhole ? steps * batch * paddedInputs : 0
  }

  /// Tape: the kernels' own, packed weights, mask as bytes, initial states, last memory cells, padded
  /// gates, padded results.
  var tapeCount: Int {
    aligned(kernelTape) + aligned(packedCount) + maskCount + (1 + 2 * cell.memories) * stateCount
      + gateCount + (isWhole ? 0 : steps * batch * padded)
  }
  private func packed(_ tape: UnsafeMutablePointer<Element>) -> UnsafeMutablePointer<Element> {
    tape + aligned(kernelTape)
  }
  private func mask(_ tape: UnsafeMutablePointer<Element>) -> UnsafeMutablePointer<UInt8> {
    UnsafeMutableRawPointer(packed(tape) + aligned(packedCount)).assumingMemoryBound(to: UInt8.self)
  }
  /// 0: initial h, from 1 on initial memory cells, then the last ones.
  private func state(_ tape: UnsafeMutablePointer<Element>, _ index: Int)
    -> UnsafeMutablePointer<Element>
  {
    packed(tape) + aligned(packedCount) + maskCount + index * stateCount
  }
  private func results(_ context: OperationContext<Element>) -> UnsafeMutablePointer<Element> {
    isWhole ? context.output() : gates(context.tape) + gateCount
  }
  private func gates(_ tape: UnsafeMutablePointer<Element>) -> UnsafeMutablePointer<Element> {
    state(tape, 1 + 2 * cell.memories)
  }

  /// Scratch: the kernels' own, gradients of last and of initial states, gradients of the results and of the
  /// inputs with padded rows.
  var scratchCount: Int {
    let own = withUnsafePointer(to: kernel) { ck_adjoint_scratch(Element.kernelType, $0, batch) }
    return aligned(own) + 2 * (1 + cell.memories) * stateCount
      + (isWhole ? 0 : steps * batch * padded) + steps * batch * paddedInputs
  }

  // MARK: Passes

  private func pass(_ context: OperationContext<Element>) -> ck_pass {
    let tape = context.tape
    var pass = ck_pass()
    (pass.steps, pass.rows) = (steps, batch)
    if cell.readsGates {
      pass.x = gateCount > 0 ? UnsafeRawPointer(gates(tape)) : UnsafeRawPointer(context.input(0))
      (pass.x_time, pass.x_row) = (batch * paddedInputs, paddedInputs)
    } else {
      pass.x = UnsafeRawPointer(context.input(0))
      (pass.x_time, pass.x_row) = (batch * cell.inputs, cell.inputs)
    }
    if hasMask { (pass.mask, pass.mask_time) = (UnsafePointer(mask(tape)), batch) }
    if hasState {
      pass.h0 = UnsafeRawPointer(state(tape, 0))
      if cell.memories > 0 { pass.c0 = UnsafeRawPointer(state(tape, 1)) }
    }
    if cell.memories > 0 { pass.cn = UnsafeMutableRawPointer(state(tape, 1 + cell.memories)) }
    (pass.state_row, pass.state_memory) = (padded, stateCount)
    pass.h = UnsafeMutableRawPointer(results(context))
    (pass.h_time, pass.h_row) = (batch * padded, padded)
    pass.tape = UnsafeMutableRawPointer(tape)
    pass.keep = 1
    return pass
  }

  /// Copies rows of one width to rows of another.
  private func copy(
    rows: Int, _ source: UnsafePointer<Element>, _ sourceRow: Int,
    _ out: UnsafeMutablePointer<Element>, _ outRow: Int, adds: Bool = false
  ) {
    let width = min(sourceRow, outRow)
    if sourceRow == outRow {
      Element.scale(rows * width, 1, source, out, adds: adds)
      return
    }
    for row in 0..<rows {
      Element.scale(width, 1, source + row * sourceRow, out + row * outRow, adds: adds)
      if outRow > width { (out + row * outRow + width).clear(outRow - width) }
    }
  }

  func forward(_ context: OperationContext<Element>) {
    let tape = context.tape
    var kernel = kernel
    var parameters = ck_weights(
      w: cell.readsGates ? nil : UnsafeRawPointer(context.input(1)), r: context.input(recurrent),
      bias: context.input(recurrent + 1),
      bias_n: cell.hasCandidateBias ? UnsafeRawPointer(context.input(recurrent + 2)) : nil)
    ck_pack(Element.kernelType, &kernel, &parameters, packed(tape))
    var next = afterWeights
    if hasMask {
      let (numbers, bytes) = (context.input(next), mask(tape))
      for k in 0..<(steps * batch) { bytes[k] = numbers[k] != 0 ? 1 : 0 }
      next += 1
    }
    if hasState {
      copy(rows: batch, context.input(next), cell.width, state(tape, 0), padded)
      for memory in 0..<cell.memories {
        copy(
          rows: batch, context.input(next + 1 + memory), cell.width, state(tape, 1 + memory), padded
        )
      }
    }
    if gateCount > 0 {
      copy(
        rows: steps * batch * inputParts, context.input(0), cell.width, gates(tape), padded)
    }
    var pass = pass(context)
    ck_forward(Element.kernelType, &kernel, packed(tape), &pass)
    let h = results(context)
    if !isWhole { copy(rows: steps * batch, h, padded, context.output(), cell.width) }
    let last = (isReverse ? 0 : steps - 1) * batch * padded
    copy(rows: batch, h + last, padded, context.output(1), cell.width)
    for memory in 0..<cell.memories {
      copy(
        rows: batch, state(tape, 1 + cell.memories + memory), padded, context.output(2 + memory),
        cell.width)
    }
  }

  func backward(_ context: OperationContext<Element>) {
    let own = withUnsafePointer(to: kernel) { ck_adjoint_scratch(Element.kernelType, $0, batch) }
    let scratch = context.scratch
    let states = scratch + aligned(own)
    let initialStates = states + (1 + cell.memories) * stateCount
    let dResults = initialStates + (1 + cell.memories) * stateCount
    let dInputs = dResults + (isWhole ? 0 : steps * batch * padded)

    var adjoint = ck_adjoint()
    adjoint.scratch = UnsafeMutableRawPointer(scratch)
    if let dy = context.outputGradient() {
      if !isWhole { copy(rows: steps * batch, dy, cell.width, dResults, padded) }
      adjoint.dh = UnsafeRawPointer(isWhole ? dy : dResults)
      (adjoint.dh_time, adjoint.dh_row) = (batch * padded, padded)
    }
    if let dh = context.outputGradient(1) {
      copy(rows: batch, dh, cell.width, states, padded)
      adjoint.dhn = UnsafeRawPointer(states)
    }
    for memory in 0..<cell.differentiableMemories {
      let to = states + (1 + memory) * stateCount
      if let dc = context.outputGradient(2 + memory) {
        copy(rows: batch, dc, cell.width, to, padded)
        adjoint.dcn = UnsafeRawPointer(states + stateCount)
      } else {
        to.clear(stateCount)
      }
    }
    let initial = afterWeights + (hasMask ? 1 : 0)
    let dh0 = hasState ? context.inputGradient(initial) : nil
    if hasState {
      adjoint.dh0 = UnsafeMutableRawPointer(initialStates)
      adjoint.dc0 = UnsafeMutableRawPointer(initialStates + stateCount)
    }
    let dx = context.inputGradient(0)
    let writesInputs =
      dx.map { !$0.adds && (cell.readsGates ? isWhole : paddedInputs == cell.inputs) } ?? false
    if let dx {
      adjoint.dx = UnsafeMutableRawPointer(writesInputs ? dx.base : dInputs)
      (adjoint.dx_time, adjoint.dx_row) = (batch * paddedInputs, paddedInputs)
    }
    adjoint.gradients = weightGradients(context) ?? ck_weight_gradients()

    var kernel = kernel
    var pass = pass(context)
    ck_backward(Element.kernelType, &kernel, packed(context.tape), &pass, &adjoint)
    if let dx, !writesInputs {
      copy(
        rows: steps * batch * inputParts, dInputs, paddedInputs / inputParts, dx.base,
        cell.inputs / inputParts, adds: dx.adds)
    }
    if let dh0 { copy(rows: batch, initialStates, padded, dh0.base, cell.width, adds: dh0.adds) }
    guard hasState else { return }
    for memory in 0..<cell.memories {
      guard let dc0 = context.inputGradient(initial + 1 + memory) else { continue }
      if memory < cell.differentiableMemories {
        copy(
          rows: batch, initialStates + (1 + memory) * stateCount, padded, dc0.base, cell.width,
          adds: dc0.adds)
      } else if !dc0.adds {
        dc0.base.clear(batch * cell.width)
      }
    }
  }
}

extension Tensor {
  /// Runs a recurrent cell over this sequence `[T, B, F]`.
  ///
  /// - Parameters:
  ///   - mask: `[T, B]`; where it is 0 the state passes unchanged, so that ragged sequences end (or, in
  ///     reverse, begin) where they should. Results there repeat the state.
  ///   - initial: zero if nil.
  ///   - reverse: from the last step to the first.
  /// - Returns: `h` of every step `[T, B, D]`, and the state after the last one taken.
  public func recurrent(
    _ cell: RecurrentCell, _ weights: RecurrentWeights<Element>, mask: Tensor? = nil,
    initial: RecurrentState<Element>? = nil, reverse: Bool = false
  ) -> (outputs: Tensor, state: RecurrentState<Element>) {
    precondition(shape.rank == 3 && shape[2] == cell.inputs, "\(shape) for \(cell.inputs) inputs")
    precondition((weights.input == nil) == cell.readsGates)
    precondition(weights.input.map { $0.shape.count == cell.inputShape.count } ?? true)
    precondition(weights.recurrent.shape.count == cell.recurrentShape.count)
    precondition(weights.bias.shape.count == cell.biasShape.count)
    precondition((weights.candidateBias != nil) == cell.hasCandidateBias)
    precondition(initial.map { $0.memories.count == cell.memories } ?? true)
    let operation = RecurrentSequence<Element>(
      cell, steps: shape[0], batch: shape[1], isReverse: reverse, hasMask: mask != nil,
      hasState: initial != nil)
    let operands: [Tensor?] = [
      self, weights.input, weights.recurrent, weights.bias, weights.candidateBias, mask, initial?.h,
    ]
    let results = graph.apply(
      operation, to: operands.compactMap { $0 } + (initial?.memories ?? []))
    let memory = { (index: Int) in index < cell.memories ? results[2 + index] : nil }
    return (results[0], RecurrentState(h: results[1], c: memory(0), n: memory(1), m: memory(2)))
  }
}
