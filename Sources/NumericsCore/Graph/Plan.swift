/// A place in one of the two memories of an execution.
struct PlannedPlace: Sendable {
  var isParameter = false
  var offset = 0
}

/// Where the operands of a step lie. Not generic: what is read for every operand of every step is then read
/// without a look at the type of the numbers, which is most of the time of a small step.
struct PlannedStep: Sendable {
  var inputs: [PlannedPlace]
  var outputs: [PlannedPlace]
  var outputGradients: [PlannedPlace?]
  var inputGradients: [(place: PlannedPlace, adds: Bool)?]
  /// By operand, where `rows`, those of the batch, are not 0.
  var rowGradients: [PlannedPlace?] = []
  var rows = 0
  var tape = PlannedPlace()
  var scratch = PlannedPlace()
  /// Gradients that this step's backward makes room for: they are sums of parts.
  var clears: [(place: PlannedPlace, count: Int)] = []
  /// Whether anything that is kept depends on it.
  var runsForward = false
  var runsBackward = false
}

/// Where everything that a graph computes lies in one arena, worked out before the first run.
///
/// Time is counted in steps: forward 0 ..< n, backward n ..< 2n. A value, a gradient, a tape or a scratch
/// area occupies its part of the arena from the step that writes it to the last that reads it; areas whose
/// times do not meet may share memory. Immutable, so all threads can use one plan.
public struct Plan<Element: Real>: @unchecked Sendable {  // it keeps operations, not the graph
  typealias Place = PlannedPlace

  let operations: [any Operation<Element>]
  let steps: [PlannedStep]
  /// Places of all values, by their number in the graph.
  let values: [Place]
  let gradients: [Place?]
  let constants: [(place: Place, numbers: [Element])]
  let loss: Int?
  /// Gradients of results that are given with every run.
  let given: [(place: Place, count: Int)]
  /// How gradients of units are computed; nil in a plan for the gradient of all rows.
  let units: UnitSteps<Element>?
  /// Numbers in the arena.
  public let arenaCount: Int
  /// Numbers at the beginning of the arena that are in use between forward and backward pass, inputs and constants
  /// among them: all of it unless something else was asked for.
  let keptCount: Int

  /// Bytes that a run takes beside parameters and their gradient.
  public var peakBytes: Int { arenaCount * MemoryLayout<Element>.stride }

  /// - Parameter loss: a scalar to differentiate; nil plans for forward runs only, in less memory.
  public init(_ graph: Graph<Element>, loss: Tensor<Element>? = nil) {
    precondition(loss.map { $0.shape.count == 1 } ?? true, "a loss is one number")
    self.init(graph, loss: loss?.id, results: loss.map { [$0.id] } ?? [])
  }

  /// - Parameters:
  ///   - results: what is differentiated, by gradients that are given with every run.
  ///   - keptFirst: whether what is kept for the backward pass lies at the beginning, in ``keptCount`` numbers.
  init(_ graph: Graph<Element>, results: [Tensor<Element>], keptFirst: Bool = false) {
    self.init(graph, loss: nil, results: results.map(\.id), keptFirst: keptFirst)
  }

  /// A plan whose parameter gradients can be had for groups of rows (``Execution/backward(units:scale:into:_:)``).
  ///
  /// - Parameters:
  ///   - rows: of the batch; at least 2.
  ///   - single: the same graph for one row.
  /// - Returns: nil where the rows of an operand of a parametric operation cannot be told: where rows are mixed
  ///   before the loss, and where activations are computed again.
  public init?(_ graph: Graph<Element>, loss: Tensor<Element>, rows: Int, single: Graph<Element>) {
    let lives = Liveness(graph, results: [loss.id])
    guard let analysis = UnitAnalysis(graph, lives, single: single, rows: rows) else { return nil }
    self.init(graph, loss: loss.id, results: [loss.id], units: analysis)
  }

  /// Steps that are run in the memory of another plan.
  init(operations: [any Operation<Element>], steps: [PlannedStep]) {
    self.operations = operations
    self.steps = steps
    (values, gradients, constants) = ([], [], [])
    (loss, given, units, arenaCount, keptCount) = (nil, [], nil, 0, 0)
  }

  private init(
    _ graph: Graph<Element>, loss: Int?, results: [Int], units: UnitAnalysis<Element>? = nil,
    keptFirst: Bool = false
  ) {
    var lives = Liveness(graph, results: results)
    units?.extend(&lives, graph)
    var packer = ArenaPacker()
    let n = graph.operations.count
    let end = units == nil ? 2 * n : 3 * n
    let always = 0...end

    // Values that own memory.
    var areaOfValue = [Int?](repeating: nil, count: graph.values.count)
    for (id, value) in graph.values.enumerated() {
      switch value.source {
      case .parameter, .view: continue
      case .input, .constant: areaOfValue[id] = packer.add(value.shape.count, always)
      case .operation:
        // Nothing for what no kept result depends on.
        if let life = lives.value[id] { areaOfValue[id] = packer.add(value.shape.count, life) }
      }
    }
    let areaOfGradient = graph.values.indices.map { id in
      lives.gradient[id].map { packer.add(graph.values[id].shape.count, $0) }
    }
    var tapes: [Int?] = []
    var scratches: [[Int]] = []
    for (index, step) in graph.operations.enumerated() {
      let backward = 2 * n - 1 - index
      let lastRead =
        units?.keepsTape(index) ?? false ? end : lives.runsBackward[index] ? backward : index
      let tape =
        lives.runsBackward[index]
        ? step.operation.tapeCount : step.operation.undifferentiatedTapeCount
      tapes.append(
        tape > 0 && lives.runsForward[index] ? packer.add(tape, index...lastRead) : nil)
      // One place for both calls: it must be free at both times.
      scratches.append([])
      if step.operation.scratchCount > 0, lives.runsForward[index] {
        scratches[index].append(packer.add(step.operation.scratchCount, index...index))
        if lives.runsBackward[index] {
          packer.also(scratches[index][0], backward...backward)
          if let units, units.isShared(index) {
            packer.also(scratches[index][0], units.time(index)...units.time(index))
          }
        }
      }
    }
    let requests = (units?.requests() ?? []).map { ($0, packer.add($0.count, $0.life)) }
    let alignment = 64 / MemoryLayout<Element>.stride
    let offsets = packer.pack(alignment: alignment) { life in
      guard keptFirst else { return 0 }
      return life.contains(n - 1) && life.contains(n) ? 0 : 1
    }
    arenaCount = packer.total
    keptCount = packer.ends[0]

    func place(_ id: Int) -> Place {
      let (root, offset) = graph.root(id)
      if case .parameter(let start) = graph.values[root].source {
        return Place(isParameter: true, offset: start + offset)
      }
      return Place(offset: areaOfValue[root].map { offsets[$0] + offset } ?? 0)
    }
    func gradientPlace(_ id: Int) -> Place? {
      let (root, offset) = graph.root(id)
      if case .parameter(let start) = graph.values[root].source {
        return Place(isParameter: true, offset: start + offset)
      }
      return areaOfGradient[root].map { Place(offset: offsets[$0] + offset) }
    }
    values = graph.values.indices.map(place)
    gradients = graph.values.indices.map {
      graph.values[$0].isDifferentiable ? gradientPlace($0) : nil
    }
    constants = graph.values.indices.compactMap { id in
      guard case .constant(let numbers) = graph.values[id].source else { return nil }
      return (place(id), numbers)
    }
    self.loss = loss
    given = Set(results.map { graph.root($0).id }).sorted().compactMap { id in
      guard lives.touched.contains(id), let place = gradientPlace(id), !place.isParameter else {
        return nil
      }
      return (place, graph.values[id].shape.count)
    }

    operations = graph.operations.map(\.operation)
    let steps = graph.operations.enumerated().map { index, step in
      let runs = lives.runsBackward[index]
      return PlannedStep(
        inputs: step.inputs.map(place), outputs: step.outputs.map(place),
        outputGradients: step.outputs.map {
          runs && lives.touched.contains(graph.root($0).id) ? gradientPlace($0) : nil
        },
        inputGradients: zip(step.inputs, lives.adds[index]).map { id, adds in
          guard let adds, let place = gradientPlace(id) else { return nil }
          return (place, adds)
        },
        tape: Place(offset: tapes[index].map { offsets[$0] } ?? 0),
        scratch: Place(offset: scratches[index].first.map { offsets[$0] } ?? 0),
        clears: lives.clears[index].compactMap { id in
          gradientPlace(id).map { ($0, graph.values[id].shape.count) }
        },
        runsForward: lives.runsForward[index], runsBackward: runs)
    }
    let memory = requests.map { (request: $0, offset: offsets[$1]) }
    self.steps = units?.sweep(steps, memory: memory) ?? steps
    self.units = units?.makeSteps(steps, graph, gradients: gradientPlace, memory: memory)
  }
}

/// When each value and gradient of a graph is in use, and which gradients are overwritten or added to.
struct Liveness<Element: Real> {
  var value: [ClosedRange<Int>?]
  var gradient: [ClosedRange<Int>?]
  var runsForward: [Bool]
  var runsBackward: [Bool]
  /// Roots that receive a gradient.
  var touched: Set<Int> = []
  /// For each step and input whether its gradient is added; nil where none is wanted.
  var adds: [[Bool?]]
  /// Roots that a step's backward sets to zero first.
  var clears: [[Int]]

  init(_ graph: Graph<Element>, results: [Int]) {
    let n = graph.operations.count
    let roots = graph.values.indices.map { graph.root($0).id }
    runsBackward = [Bool](repeating: false, count: n)
    adds = graph.operations.map { [Bool?](repeating: nil, count: $0.inputs.count) }
    clears = [[Int]](repeating: [], count: n)
    value = [ClosedRange<Int>?](repeating: nil, count: graph.values.count)
    gradient = value

    func isParameter(_ root: Int) -> Bool {
      if case .parameter = graph.values[root].source { return true }
      return false
    }
    // A value that is read in parts gets its gradient in parts.
    var isPartial = Set<Int>()
    for id in graph.values.indices
    where graph.values[id].shape.count != graph.values[roots[id]].shape.count {
      isPartial.insert(roots[id])
    }

    // What the kept results depend on.
    runsForward = [Bool](repeating: false, count: n)
    var needed = Set(results.map { roots[$0] })
    for id in graph.values.indices where graph.values[id].isKept { needed.insert(roots[id]) }
    for (index, step) in graph.operations.enumerated().reversed()
    where step.outputs.contains(where: { needed.contains(roots[$0]) }) {
      runsForward[index] = true
      for id in step.inputs { needed.insert(roots[id]) }
    }

    // Backwards: who receives a gradient, from whom first.
    var firstTouch: [Int: Int] = [:]
    if !results.isEmpty {
      for id in results where graph.values[id].isDifferentiable && !isParameter(roots[id]) {
        touched.insert(roots[id])
        firstTouch[roots[id]] = n  // given, before the first backward step
      }
      for index in stride(from: n - 1, through: 0, by: -1) {
        let step = graph.operations[index]
        guard step.outputs.contains(where: { touched.contains(roots[$0]) }),
          step.inputs.contains(where: { graph.values[$0].isDifferentiable })
        else { continue }
        runsBackward[index] = true
        let backward = 2 * n - 1 - index
        for (slot, id) in step.inputs.enumerated() where graph.values[id].isDifferentiable {
          let root = roots[id]
          if isParameter(root) {
            adds[index][slot] = true
            touched.insert(root)
            continue
          }
          let isFirst = touched.insert(root).inserted
          if isFirst {
            firstTouch[root] = backward
            if isPartial.contains(root) { clears[index].append(root) }
          }
          adds[index][slot] = !isFirst || isPartial.contains(root)
        }
      }
    }

    // Lives of values: from their step to the last reader, forward or backward.
    for (index, step) in graph.operations.enumerated() where runsForward[index] {
      let backward = 2 * n - 1 - index
      for id in step.outputs {
        value[id] =
          index...max(
            index, runsBackward[index] && step.operation.backwardReadsOutputs ? backward : index)
      }
      for (slot, id) in step.inputs.enumerated() {
        guard let life = value[roots[id]] else { continue }
        let reads = runsBackward[index] && step.operation.backwardReads(input: slot)
        value[roots[id]] = life.lowerBound...max(life.upperBound, reads ? backward : index)
      }
    }
    for id in graph.values.indices where graph.values[id].isKept || results.contains(id) {
      guard let life = value[roots[id]] else { continue }
      value[roots[id]] = life.lowerBound...(2 * n)
    }
    // Views of a result share its life; a result's gradient lives from its first touch to its own step.
    for (root, first) in firstTouch {
      switch graph.values[root].source {
      case .operation(let index): gradient[root] = first...(2 * n - 1 - index)
      case .input: gradient[root] = first...(2 * n)
      case .parameter, .constant, .view: break
      }
    }
  }
}

/// Puts areas with known times into one arena: the largest first, each at the lowest place that is free
/// during its time.
package struct ArenaPacker {
  private var counts: [Int] = []
  private var lives: [[ClosedRange<Int>]] = []
  package private(set) var total = 0
  /// Where the areas of rank 0 end, and where all do.
  private(set) var ends = [0, 0]

  package init() {}

  package mutating func add(_ count: Int, _ life: ClosedRange<Int>) -> Int {
    counts.append(count)
    lives.append([life])
    return counts.count - 1
  }

  /// A second stretch of time for an area.
  package mutating func also(_ area: Int, _ life: ClosedRange<Int>) { lives[area].append(life) }

  /// - Returns: offsets, multiples of `alignment`.
  ///
  /// - Parameter rank: 0 or 1 for an area with this time alone; those of rank 0 are placed before all others.
  package mutating func pack(
    alignment: Int, rank: (ClosedRange<Int>) -> Int = { _ in 0 }
  ) -> [Int] {
    let sizes = counts.map { ($0 + alignment - 1) / alignment * alignment }
    let ranks = lives.map { $0.count == 1 ? rank($0[0]) : 1 }
    var offsets = [Int](repeating: 0, count: counts.count)
    var placed: [Int] = []
    let order = sizes.indices.sorted { (ranks[$0], sizes[$1], $0) < (ranks[$1], sizes[$0], $1) }
    for area in order {
      let meets = placed.filter { other in
        lives[area].contains { mine in lives[other].contains { mine.overlaps($0) } }
      }.sorted { offsets[$0] < offsets[$1] }
      var offset = 0
      for other in meets {
        if offsets[other] >= offset + sizes[area] { break }
        offset = max(offset, offsets[other] + sizes[other])
      }
      offsets[area] = offset
      placed.append(area)
      total = max(total, offset + sizes[area])
      for rank in ranks[area]..<ends.count { ends[rank] = max(ends[rank], total) }
    }
    return offsets
  }
}
