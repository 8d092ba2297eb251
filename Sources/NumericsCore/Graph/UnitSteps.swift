// Runs what UnitPlan.swift plans: gradients of one unit after another.

/// What is run for each unit after the backward sweep.
struct UnitSteps<Element: Real> {
  /// A row of a tensor, put together.
  struct Copy {
    let from: PlannedPlace
    let to: PlannedPlace
    let layout: RowLayout
  }
  /// An operation on one row after another.
  struct Gathering {
    let copies: [Copy]
    let runsForward: Bool
  }
  /// A gradient among those that are kept for each row, and where it is to be added.
  struct Part {
    let offset: Int
    let count: Int
    let to: PlannedPlace
  }
  /// Gradients of all rows, `count` numbers for each.
  struct Kept {
    let place: PlannedPlace
    let count: Int
    let parts: [Part]
  }
  struct Early {
    let gathering: Gathering
    /// Where the gradients of one row come out.
    let from: PlannedPlace
    let kept: Kept
  }
  enum Step {
    case shared(Int, runsForward: Bool)
    case direct(Int, RowLayout)
    case gathered(Int, Gathering)
    case kept(Kept)
    /// Gradients of all rows, and where those of a unit are to be added.
    case rowSum(PlannedPlace, RowLayout, to: PlannedPlace)
  }

  let rows: Int
  /// What is done during the backward sweep, by operation.
  var early: [Early?]
  /// In the order in which they are run.
  var steps: [Step] = []
  /// Gradients of what is computed from parameters.
  var clears: [(place: PlannedPlace, count: Int)] = []
  /// The operations and the places of their operands for this, in the memory of the plan that this belongs to.
  var operations: [any Operation<Element>] = []
  var places: [PlannedStep] = []

  init(rows: Int, count: Int) {
    self.rows = rows
    early = [Early?](repeating: nil, count: count)
  }
}

extension Execution {
  /// The gradients of a sum over rows, unit by unit: `scale` times what the loss of the last `forward` has from
  /// the unit's rows.
  ///
  /// - Parameters:
  ///   - units: rows of each unit; units do not overlap.
  ///   - gradient: as long as the parameters; overwritten for each unit.
  ///   - body: called when the gradient of a unit, by its number, is there.
  /// - Precondition: the plan was made for units.
  @specialized(where Element == Float)
  public func backward(
    units: [Range<Int>], scale: Element = 1, into gradient: UnsafeMutableBufferPointer<Element>,
    _ body: (Int) throws -> Void
  ) rethrows {
    guard let schedule = plan.units, let execution = unitExecution else {
      preconditionFailure("the plan is not for units")
    }
    let total = gradient.baseAddress!
    execution.enter(self)
    // Gradients of parameters that cannot be left out land there, and are not looked at.
    backward(into: total, scale: scale)
    execution.enter(self)
    for (number, range) in units.enumerated() {
      total.clear(gradient.count)
      execution.runUnit(schedule, range)
      try body(number)
    }
  }

  /// Makes ready to run in the memory of `outer`.
  private func enter(_ outer: Execution) { borrow(outer.memoryBase, from: outer, step: 0) }

  private func runUnit(_ schedule: UnitSteps<Element>, _ range: Range<Int>) {
    for (place, count) in schedule.clears { gradientPointer(place).clear(count) }
    for step in schedule.steps {
      switch step {
      case .shared(let index, let runsForward):
        if runsForward { plan.operations[index].forward(context(index)) }
        plan.operations[index].backward(context(index))
      case .direct(let index, let layout):
        plan.operations[index].addUnitGradient(
          UnitRows(range: range, rows: schedule.rows, layout: layout), context(index))
      case .gathered(let index, let gathering):
        for row in range { run(index, gathering, row: row, of: schedule.rows) }
      case .kept(let kept):
        for row in range {
          let from = pointer(kept.place) + row * kept.count
          for part in kept.parts {
            Element.add(part.count, from + part.offset, to: gradientPointer(part.to))
          }
        }
      case .rowSum(let place, let layout, let to):
        for row in range {
          for outer in 0..<layout.outer {
            Element.add(
              layout.inner, pointer(place) + (outer * schedule.rows + row) * layout.inner,
              to: gradientPointer(to) + outer * layout.inner)
          }
        }
      }
    }
  }

  /// An operation on one row.
  private func run(
    _ index: Int, _ gathering: UnitSteps<Element>.Gathering, row: Int, of rows: Int
  ) {
    for copy in gathering.copies {
      let inner = copy.layout.inner
      var (from, to) = (pointer(copy.from) + row * inner, pointer(copy.to))
      for _ in 0..<copy.layout.outer {
        to.update(from: from, count: inner)
        from += rows * inner
        to += inner
      }
    }
    if gathering.runsForward { plan.operations[index].forward(context(index)) }
    plan.operations[index].backward(context(index))
  }

  /// What a step does for all rows when the sweep arrives at it.
  func runEarly(_ early: UnitSteps<Element>.Early, _ index: Int, rows: Int) {
    let (kept, from) = (pointer(early.kept.place), pointer(early.from))
    for row in 0..<rows {
      run(index, early.gathering, row: row, of: rows)
      (kept + row * early.kept.count).update(from: from, count: early.kept.count)
    }
  }
}
