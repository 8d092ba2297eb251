/// A diagonal cell over a whole sequence in a graph.
///
/// Inputs: weighted inputs `[T, B, 3 D]`, recurrent weights, of an LSTM peepholes, then the initial states if
/// there are any. Results: all `h` and, of an LSTM, all `c`, `[T, B, D]`.
///
/// Memory from forward to backward beside the results: 3 (GRU) or 4 (LSTM) numbers for each unit, step and
/// sequence; in Newton's form 1 or 4 more.
struct DiagonalSequence<Element: Real>: Operation {
  let recurrence: DiagonalRecurrence<Element>
  let isNewton: Bool
  let hasInitial: Bool

  private var cell: DiagonalCell { recurrence.cell }
  private var stateCount: Int { recurrence.batch * cell.width }
  var outputs: [Shape] {
    [Shape](
      repeating: [recurrence.steps, recurrence.batch, cell.width], count: cell.states)
  }
  var backwardReadsOutputs: Bool { true }
  func backwardReads(input: Int) -> Bool { input > 0 }

  private func aligned(_ count: Int) -> Int { (count + 15) / 16 * 16 }
  /// Gates, Jacobians, then whether Newton's method converged.
  var tapeCount: Int {
    aligned(recurrence.gateCount) + (isNewton ? aligned(recurrence.jacobianCount) + 1 : 0)
  }
  var scratchCount: Int {
    max(
      isNewton ? recurrence.newtonScratchCount : 0,
      aligned(cell.states * stateCount) + aligned(cell.peepholeShape?.count ?? 0)
        + recurrence.backwardScratchCount)
  }

  private func operands(_ context: OperationContext<Element>)
    -> DiagonalRecurrence<Element>.Operands
  {
    let first = cell.hasMemory ? 3 : 2
    let tape = context.tape
    return DiagonalRecurrence.Operands(
      u: context.input(0), recurrent: context.input(1),
      peephole: cell.hasMemory ? context.input(2) : nil,
      h0: hasInitial ? context.input(first) : nil,
      c0: hasInitial && cell.hasMemory ? context.input(first + 1) : nil, h: context.output(0),
      c: cell.hasMemory ? context.output(1) : nil, gates: tape,
      jacobian: isNewton ? tape + aligned(recurrence.gateCount) : nil)
  }

  private func hasConverged(_ context: OperationContext<Element>) -> UnsafeMutablePointer<Element> {
    context.tape + aligned(recurrence.gateCount) + aligned(recurrence.jacobianCount)
  }

  func forward(_ context: OperationContext<Element>) {
    guard isNewton else { return recurrence.sequential(operands(context)) }
    let iterations = recurrence.newton(operands(context), scratch: context.scratch)
    hasConverged(context).pointee = iterations == nil ? 0 : 1
  }

  func backward(_ context: OperationContext<Element>) {
    guard let du = context.inputGradient(0),
      let recurrent = context.inputGradient(1)?.cleared(cell.recurrentShape.count)
    else {
      preconditionFailure("inputs and weights of a recurrent cell are differentiated together")
    }
    let carry = context.scratch
    carry.update(repeating: 0, count: cell.states * stateCount)
    let peephole = cell.peepholeShape.flatMap { shape in
      context.inputGradient(2).map { $0.cleared(shape.count) }
    }
    let adjoint = DiagonalRecurrence<Element>.Adjoint(
      dh: context.outputGradient(0).map { UnsafePointer($0) },
      dc: cell.hasMemory ? context.outputGradient(1).map { UnsafePointer($0) } : nil, du: du.base,
      adds: du.adds, recurrent: recurrent, peephole: peephole, carry: carry)
    recurrence.backward(
      operands(context), adjoint, isNewton: isNewton && hasConverged(context).pointee != 0,
      scratch: carry + aligned(cell.states * stateCount))
    guard hasInitial else { return }
    for state in 0..<cell.states {
      guard let to = context.inputGradient((cell.hasMemory ? 3 : 2) + state) else { continue }
      Element.scale(stateCount, 1, carry + state * stateCount, to.base, adds: to.adds)
    }
  }
}

extension Tensor {
  /// Runs a cell with diagonal recurrent weights over these weighted inputs `[T, B, 3 D]`, biases included:
  /// what ``linear(_:bias:)`` makes of a sequence.
  ///
  /// - Parameters:
  ///   - recurrent: `[3, D]`.
  ///   - peephole: `[2, D]`, for `paraLSTM` only.
  ///   - initial: zero if nil.
  ///   - form: gradients are exact in each: a reverse linear recurrence without iterations.
  ///   - threads: that may share the work. Training shares batches instead, so 1.
  /// - Returns: `h` of every step `[T, B, D]`, and the state after the last.
  public func diagonalRecurrent(
    _ cell: DiagonalCell, recurrent: Tensor, peephole: Tensor? = nil,
    initial: RecurrentState<Element>? = nil, form: RecurrenceForm = .sequential, threads: Int = 1,
    limits: NewtonLimits = NewtonLimits()
  ) -> (outputs: Tensor, state: RecurrentState<Element>) {
    precondition(
      shape.rank == 3 && shape[2] == DiagonalCell.gates * cell.width,
      "\(shape) for \(cell.width) units of 3 gates")
    precondition(recurrent.shape.count == cell.recurrentShape.count)
    precondition(peephole?.shape.count == cell.peepholeShape?.count)
    precondition(initial.map { ($0.c != nil) == cell.hasMemory } ?? true)
    let rule = ParallelInTimeRule<Element>()
    let isNewton =
      form == .newton
      || form == .automatic
        && rule.form(cell, steps: shape[0], batch: shape[1], threads: threads) == .newton
    let operation = DiagonalSequence<Element>(
      recurrence: DiagonalRecurrence(
        cell, steps: shape[0], batch: shape[1], threads: threads, limits: limits),
      isNewton: isNewton, hasInitial: initial != nil)
    let operands: [Tensor?] = [self, recurrent, peephole, initial?.h, initial?.c]
    let results = graph.apply(operation, to: operands.compactMap { $0 })
    let last = shape[0] - 1
    return (
      results[0],
      RecurrentState(h: results[0][last], c: cell.hasMemory ? results[1][last] : nil)
    )
  }
}
