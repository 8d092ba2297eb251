// Gradients of parameters for groups of rows of a batch ("units"), from one forward and one backward pass: the idea of
// book-keeping (Bu et al. 2022, arXiv 2210.00038), without a second sweep through the network.
//
// The backward sweep computes the gradients of everything that has rows, and none of parameters. What those
// of parameters are made of (operands of the operations that read parameters, and gradients of their results)
// stays in memory until the end; it takes the places of activations that are not needed any more. Then, for
// one unit after another, each of these operations adds the contribution of the unit's rows to one flat
// gradient: a product over time for a matrix, a sum for a bias. Whatever the gradient of a unit is made of (several
// windows, several uses of one parameter) is added before anybody takes its norm.
//
// What is computed from parameters alone, such as the kernel of a convolution, has no rows. It gets a gradient for
// each unit in the same way, and the operations that lead to it are differentiated for each unit.

/// What each operation does about the gradients of units.
struct UnitAnalysis<Element: Real> {
  enum Part {
    /// Nothing: it reads no parameter.
    case none
    /// It reads nothing that has rows: differentiated as a whole, for each unit.
    case shared
    /// ``Operation/addUnitGradient(_:_:)``.
    case direct(UnitForm)
    /// The same operation for one row, on copies of the unit's rows.
    case gathered(any Operation<Element>, runsForward: Bool)
    /// As gathered, but for every row during the backward sweep: the gradients of all rows are kept, where
    /// they are far smaller than what they are made of (sums over time for a vector).
    case early(any Operation<Element>, runsForward: Bool)
    /// As early, by the operation's own backward.
    case rowwise(RowForm)
  }

  let rows: Int
  private let parts: [Part]
  private let layouts: [RowLayout?]
  /// Whether a value has no rows, and depends on nothing that has.
  private let isShared: [Bool]
  private let shapesOfOne: [Shape]
  private let steps: [Graph<Element>.Step]
  private var count: Int { steps.count }

  init?(
    _ graph: Graph<Element>, _ lives: Liveness<Element>, single: Graph<Element>, rows: Int
  ) {
    precondition(rows >= 2)
    // A model that writes another graph for one row: its units come one by one.
    guard graph.values.count == single.values.count,
      graph.operations.count == single.operations.count
    else { return nil }
    self.rows = rows
    steps = graph.operations
    shapesOfOne = single.values.map(\.shape)
    let (layouts, isShared) = Self.places(graph, single, rows: rows)
    (self.layouts, self.isShared) = (layouts, isShared)
    let roots = graph.values.indices.map { graph.root($0).id }
    var parts: [Part] = []
    for (index, step) in graph.operations.enumerated() {
      let wanted = step.inputs.filter {
        isShared[$0] && graph.values[$0].isDifferentiable && lives.touched.contains(roots[$0])
      }
      let isMixed = step.inputs.contains { !isShared[$0] && layouts[$0] == nil }
      let givesRows = step.outputs.contains { layouts[$0] != nil }
      // A row would get gradients from others.
      if lives.runsBackward[index], isMixed, givesRows { return nil }
      guard lives.runsBackward[index], !wanted.isEmpty else {
        parts.append(.none)
        continue
      }
      if step.outputs.allSatisfy({ isShared[$0] }) {
        parts.append(.shared)
        continue
      }
      let given = step.outputs.filter { lives.touched.contains(roots[$0]) }
      guard !isMixed, given.allSatisfy({ layouts[$0] != nil }),
        step.operation.plans.isEmpty
      else { return nil }
      let operands = UnitOperands(
        rows: rows, inputs: step.inputs.map { layouts[$0] },
        outputs: step.outputs.map { layouts[$0] })
      if layouts[step.outputs[0]] != nil, let form = step.operation.unitForm(operands) {
        parts.append(.direct(form))
      } else {
        let one = single.operations[index].operation
        let runsForward = one.tapeCount > 0
        func count(_ ids: [Int]) -> Int { ids.reduce(0) { $0 + graph.values[$1].shape.count } }
        let read = step.inputs.indices.filter {
          !isShared[step.inputs[$0]] && (runsForward || one.backwardReads(input: $0))
        }
        let kept = count(given) + count(read.map { step.inputs[$0] })
        if 2 * rows * count(wanted) > kept {
          parts.append(.gathered(one, runsForward: runsForward))
        } else if let form = step.operation.rowForm(operands),
          step.inputs.indices.allSatisfy({
            !wanted.contains(step.inputs[$0]) || form.layouts[$0] != nil
          })
        {
          parts.append(.rowwise(form))
        } else {
          parts.append(.early(one, runsForward: runsForward))
        }
      }
    }
    self.parts = parts
  }

  /// Where the rows of every value are, from the shapes that it has with many and with one.
  private static func places(
    _ graph: Graph<Element>, _ single: Graph<Element>, rows: Int
  ) -> ([RowLayout?], [Bool]) {
    var layouts: [RowLayout?] = []
    var shared: [Bool] = []
    for (id, value) in graph.values.enumerated() {
      let (shape, one) = (value.shape, single.values[id].shape)
      switch value.source {
      case .parameter:
        layouts.append(nil)
        shared.append(true)
      case .input, .constant:
        layouts.append(layout(shape, one, rows: rows))
        shared.append(shape == one)
      case .view(let parent, let offset):
        shared.append(shared[parent])
        guard let whole = layouts[parent] else {
          layouts.append(nil)
          continue
        }
        // The same memory, or whole blocks of all rows.
        let block = rows * whole.inner
        layouts.append(
          shape.count % block == 0 && offset % block == 0
            ? RowLayout(outer: shape.count / block, inner: whole.inner) : nil)
      case .operation(let index):
        let inputs = graph.operations[index].inputs
        let isShared = shape == one && inputs.allSatisfy { shared[$0] }
        shared.append(isShared)
        layouts.append(
          isShared
            ? nil
            : layout(shape, one, rows: rows)
              ?? inputs.lazy.compactMap { input in
                layouts[input].flatMap {
                  layout(
                    shape, one, as: graph.values[input].shape, single.values[input].shape, $0,
                    rows: rows)
                }
              }.first)
      }
    }
    return (layouts, shared)
  }

  /// The one axis that is `rows` long in place of 1.
  private static func layout(_ shape: Shape, _ one: Shape, rows: Int) -> RowLayout? {
    guard shape.rank == one.rank else { return nil }
    let differing = (0..<shape.rank).filter { shape[$0] != one[$0] }
    guard differing.count == 1, shape[differing[0]] == rows, one[differing[0]] == 1 else {
      return nil
    }
    return RowLayout(
      outer: shape.axes[..<differing[0]].reduce(1, *),
      inner: shape.axes[(differing[0] + 1)...].reduce(1, *))
  }

  /// The same where rows share an axis with something else: as in an operand whose axes are the same up to
  /// there, with many rows and with one, which no exchange of that axis leaves so.
  private static func layout(
    _ shape: Shape, _ one: Shape, as operand: Shape, _ oneOperand: Shape, _ known: RowLayout,
    rows: Int
  ) -> RowLayout? {
    guard shape.rank == one.rank,
      let axis = (0..<shape.rank).first(where: { shape[$0] != one[$0] }),
      shape[axis] == rows * one[axis],
      shape.axes[(axis + 1)...] == one.axes[(axis + 1)...],
      operand.axes.prefix(axis + 1) == shape.axes.prefix(axis + 1),
      oneOperand.axes.prefix(axis + 1) == one.axes.prefix(axis + 1)
    else { return nil }
    let before = shape.axes[..<axis].reduce(1, *)
    let rest = shape.axes[(axis + 1)...].reduce(1, *)
    guard known.outer % before == 0, one[axis] % (known.outer / before) == 0 else { return nil }
    return RowLayout(outer: known.outer, inner: one[axis] * before / known.outer * rest)
  }

  // MARK: Memory

  /// When a step's part for the units runs: after the backward sweep, in the reverse order too.
  func time(_ index: Int) -> Int { 3 * count - 1 - index }

  func isShared(_ index: Int) -> Bool {
    if case .shared = parts[index] { return true }
    return false
  }

  func keepsTape(_ index: Int) -> Bool {
    switch parts[index] {
    case .none, .gathered, .early, .rowwise: false
    case .shared: true
    case .direct(let form): form.readsTape
    }
  }

  /// Keeps what the units read, for all of them: it is read again and again.
  func extend(_ lives: inout Liveness<Element>, _ graph: Graph<Element>) {
    let end = 3 * count
    func keepValue(_ id: Int) {
      let root = graph.root(id).id
      if let life = lives.value[root] { lives.value[root] = life.lowerBound...end }
    }
    func keepGradient(_ id: Int) {
      let root = graph.root(id).id
      if let life = lives.gradient[root] { lives.gradient[root] = life.lowerBound...end }
    }
    for id in graph.values.indices {
      // What is kept until the end of a run; what units write.
      if let life = lives.value[id], life.upperBound >= 2 * count || isShared[id] { keepValue(id) }
      if let life = lives.gradient[id], life.upperBound >= 2 * count || isShared[id] {
        keepGradient(id)
      }
    }
    for (index, step) in graph.operations.enumerated() {
      switch parts[index] {
      case .none, .shared, .rowwise: break
      case .direct(let form):
        for input in form.inputs { keepValue(step.inputs[input]) }
        if form.readsOutputs { step.outputs.forEach(keepValue) }
        if form.readsOutputGradients { step.outputs.forEach(keepGradient) }
      case .gathered(let one, let runsForward):
        for (slot, id) in step.inputs.enumerated()
        where runsForward || one.backwardReads(input: slot) {
          keepValue(id)
        }
        if one.backwardReadsOutputs, !runsForward { step.outputs.forEach(keepValue) }
        step.outputs.forEach(keepGradient)
      case .early(_, let runsForward):
        for id in step.inputs where runsForward {
          let root = graph.root(id).id
          guard let life = lives.value[root] else { continue }
          lives.value[root] = life.lowerBound...max(life.upperBound, backward(index))
        }
      }
    }
  }

  /// When a step's backward runs.
  private func backward(_ index: Int) -> Int { 2 * count - 1 - index }

  /// Memory that a part needs for itself.
  struct Request {
    enum Purpose { case workspace, rows }
    let index: Int
    let purpose: Purpose
    let count: Int
    let life: ClosedRange<Int>
  }

  func requests() -> [Request] {
    parts.enumerated().flatMap { index, part -> [Request] in
      func workspace(_ count: Int, _ time: Int) -> Request {
        Request(index: index, purpose: .workspace, count: count, life: time...time)
      }
      switch part {
      case .none, .shared: return []
      case .direct(let form):
        return form.scratchCount > 0 ? [workspace(form.scratchCount, time(index))] : []
      case .gathered(let one, _):
        return [workspace(Area(one, inputs: shapes(steps[index].inputs)).count, time(index))]
      case .early(let one, _):
        let ids = steps[index].inputs
        let area = Area(one, inputs: shapes(ids), keepsShared: ids.map { isShared[$0] })
        return [
          workspace(area.count, backward(index)),
          Request(
            index: index, purpose: .rows, count: rows * area.sharedCount,
            life: backward(index)...3 * count),
        ]
      case .rowwise(let form):
        return [
          Request(
            index: index, purpose: .rows, count: offsets(form).count,
            life: backward(index)...3 * count)
        ]
      }
    }
  }

  /// Where the operands' gradients are in the memory of a form, by operand.
  private func offsets(_ form: RowForm) -> (starts: [Int: Int], count: Int) {
    var (starts, count) = ([Int: Int](), 0)
    for (slot, layout) in form.layouts.sorted(by: { $0.key < $1.key }) {
      starts[slot] = count
      let own = layout.outer * rows * layout.inner + (form.scratchCounts[slot] ?? 0)
      count += (own + 15) / 16 * 16
    }
    return (starts, count)
  }

  private func shapes(_ ids: [Int]) -> [Shape] { ids.map { shapesOfOne[$0] } }

  /// Offsets of the operands of an operation on one row in its workspace.
  private struct Area {
    private(set) var inputs: [Int] = []
    private(set) var inputGradients: [Int] = []
    private(set) var outputs: [Int] = []
    private(set) var outputGradients: [Int] = []
    private(set) var tape = 0
    private(set) var scratch = 0
    private(set) var count = 0
    /// Gradients of operands without rows, together, and where each is in them.
    private(set) var shared: [Int] = []
    private(set) var sharedCount = 0

    init(
      _ operation: any Operation<Element>, inputs shapes: [Shape], keepsShared: [Bool] = []
    ) {
      for (shape, isShared) in zip(shapes, keepsShared) {
        shared.append(take(isShared ? shape.count : 0))
      }
      sharedCount = count
      inputs = shapes.map { take($0.count) }
      if !operation.gradientsAreSeparate { inputGradients = shapes.map { take($0.count) } }
      outputs = operation.outputs.map { take($0.count) }
      outputGradients = operation.outputs.map { take($0.count) }
      tape = take(operation.tapeCount)
      scratch = take(operation.scratchCount)
    }

    /// Each at the start of a cache line.
    private mutating func take(_ count: Int) -> Int {
      defer { self.count += (count + 15) / 16 * 16 }
      return self.count
    }
  }

  // MARK: Steps

  /// The steps of the plan without those gradients that come later.
  ///
  /// - Parameter memory: offsets of what ``requests()`` asks for.
  func sweep(
    _ planned: [PlannedStep], memory: [(request: Request, offset: Int)]
  ) -> [PlannedStep] {
    planned.enumerated().map { index, planned in
      var step = planned
      switch parts[index] {
      case .none: break
      case .shared: step.runsBackward = false
      case .rowwise(let form):
        let start = memory.first { $0.request.index == index }?.offset ?? 0
        let starts = offsets(form).starts
        step.rows = rows
        step.rowGradients = step.inputGradients.indices.map { slot in
          step.inputGradients[slot] == nil
            ? nil : starts[slot].map { PlannedPlace(offset: start + $0) }
        }
        for (slot, id) in steps[index].inputs.enumerated() where isShared[id] {
          step.inputGradients[slot] = nil
        }
      case .direct, .gathered, .early:
        guard steps[index].operation.gradientsAreSeparate else { break }
        for (slot, id) in steps[index].inputs.enumerated() where isShared[id] {
          step.inputGradients[slot] = nil
        }
        var follows = false
        if case .direct(let form) = parts[index] { follows = form.followsBackward }
        step.runsBackward = follows || step.inputGradients.contains { $0 != nil }
      }
      return step
    }
  }

  /// The steps that are run for each unit.
  ///
  /// - Parameters:
  ///   - planned: all steps of the plan, with all gradients.
  ///   - gradients: where the gradient of a value is.
  ///   - memory: offsets of what ``requests()`` asks for.
  func makeSteps(
    _ planned: [PlannedStep], _ graph: Graph<Element>, gradients: (Int) -> PlannedPlace?,
    memory: [(request: Request, offset: Int)]
  ) -> UnitSteps<Element> {
    var result = UnitSteps<Element>(rows: rows, count: count)
    var operations = steps.map(\.operation)
    var own = planned
    func offset(_ index: Int, _ purpose: Request.Purpose) -> Int {
      memory.first { $0.request.index == index && $0.request.purpose == purpose }?.offset ?? 0
    }
    for index in steps.indices.reversed() {
      let step = steps[index]
      // Of what has no rows: sums, which begin at zero.
      let sums = zip(step.inputs, planned[index].inputGradients).map { id, gradient in
        isShared[id] ? gradient.map { (place: $0.place, adds: true) } : nil
      }
      let workspace = offset(index, .workspace)
      switch parts[index] {
      case .none: continue
      case .shared:
        result.steps.append(
          .shared(index, runsForward: !step.operation.backwardRepeats))
      case .direct:
        own[index].inputGradients = sums
        own[index].scratch = PlannedPlace(offset: workspace)
        result.steps.append(.direct(index, layouts[step.outputs[0]]!))
      case .gathered(let one, let runsForward):
        operations[index] = one
        let area = Area(one, inputs: shapes(step.inputs))
        own[index].inputGradients = sums
        let copies = gather(&own[index], planned[index], index, one, runsForward, area, workspace)
        result.steps.append(
          .gathered(index, UnitSteps.Gathering(copies: copies, runsForward: runsForward)))
      case .early(let one, let runsForward):
        operations[index] = one
        let area = Area(
          one, inputs: shapes(step.inputs), keepsShared: step.inputs.map { isShared[$0] })
        var parts: [UnitSteps<Element>.Part] = []
        for (slot, sum) in sums.enumerated() {
          own[index].inputGradients[slot] = sum.map { _ in
            (PlannedPlace(offset: workspace + area.shared[slot]), false)
          }
          guard let sum else { continue }
          parts.append(
            UnitSteps.Part(
              offset: area.shared[slot], count: graph.values[step.inputs[slot]].shape.count,
              to: sum.place))
        }
        let copies = gather(&own[index], planned[index], index, one, runsForward, area, workspace)
        let kept = UnitSteps<Element>.Kept(
          place: PlannedPlace(offset: offset(index, .rows)), count: area.sharedCount, parts: parts)
        result.early[index] = UnitSteps.Early(
          gathering: UnitSteps.Gathering(copies: copies, runsForward: runsForward),
          from: PlannedPlace(offset: workspace), kept: kept)
        result.steps.append(.kept(kept))
      case .rowwise(let form):
        let starts = offsets(form).starts
        for (slot, sum) in sums.enumerated() {
          guard let sum, let layout = form.layouts[slot] else { continue }
          result.steps.append(
            .rowSum(
              PlannedPlace(offset: offset(index, .rows) + starts[slot]!), layout, to: sum.place))
        }
      }
    }
    for (id, value) in graph.values.enumerated() where isShared[id] && value.isDifferentiable {
      guard case .operation = value.source, let place = gradients(id) else { continue }
      result.clears.append((place, value.shape.count))
    }
    (result.operations, result.places) = (operations, own)
    return result
  }

  /// Puts the operands of a step into its workspace; returns what is copied there for every row.
  private func gather(
    _ own: inout PlannedStep, _ planned: PlannedStep, _ index: Int, _ one: any Operation<Element>,
    _ runsForward: Bool, _ area: Area, _ workspace: Int
  ) -> [UnitSteps<Element>.Copy] {
    let step = steps[index]
    func place(_ offset: Int) -> PlannedPlace { PlannedPlace(offset: workspace + offset) }
    var copies: [UnitSteps<Element>.Copy] = []
    func copy(_ id: Int, from: PlannedPlace, to: PlannedPlace) {
      copies.append(UnitSteps.Copy(from: from, to: to, layout: layouts[id]!))
    }
    for (slot, id) in step.inputs.enumerated() where !isShared[id] {
      own.inputs[slot] = place(area.inputs[slot])
      if runsForward || one.backwardReads(input: slot) {
        copy(id, from: planned.inputs[slot], to: own.inputs[slot])
      }
      own.inputGradients[slot] =
        one.gradientsAreSeparate || planned.inputGradients[slot] == nil
        ? nil : (place(area.inputGradients[slot]), false)
    }
    for (slot, id) in step.outputs.enumerated() {
      own.outputs[slot] = place(area.outputs[slot])
      if one.backwardReadsOutputs, !runsForward, layouts[id] != nil {
        copy(id, from: planned.outputs[slot], to: own.outputs[slot])
      }
      if let from = planned.outputGradients[slot] {
        own.outputGradients[slot] = place(area.outputGradients[slot])
        copy(id, from: from, to: place(area.outputGradients[slot]))
      }
    }
    own.tape = place(area.tape)
    own.scratch = place(area.scratch)
    return copies
  }
}
