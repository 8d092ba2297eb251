/// A computation over tensors of known shapes: written once, planned (``Plan``), run many times
/// (``Execution``).
///
/// Operations are appended in the order in which they run, and differentiated in the reverse one. Nothing
/// is computed while a graph is written, so shapes are checked here and memory is known beforehand.
public final class Graph<Element: Real> {
  var values: [Value] = []
  var operations: [Step] = []

  struct Value {
    enum Source {
      /// Offset in the flat buffer of parameters.
      case parameter(Int)
      /// Written by the caller before a run.
      case input
      /// Filled when an execution is made, and not changed.
      case constant([Element])
      case operation(Int)
      /// The same memory as another value, from an offset on.
      case view(of: Int, offset: Int)
    }

    let shape: Shape
    let source: Source
    /// Whether a gradient may flow through it.
    let isDifferentiable: Bool
    var isKept = false
  }

  struct Step {
    let operation: any Operation<Element>
    let inputs: [Int]
    let outputs: [Int]
  }

  /// Bytes that the memory of a segment may take (``segmented(_:recomputes:_:)``); nil where sequences are to be left
  /// whole: gradients of rows are had of those only.
  public let segmentBytes: Int?

  /// What the caches of one core hold without harm to the other cores.
  public static var cachedSegmentBytes: Int { 4 << 20 }

  public init(segmentBytes: Int? = nil) { self.segmentBytes = segmentBytes }

  /// A trained tensor; its numbers are those at its offset in the parameters of a run.
  public func parameter(_ tensor: ParameterLayout.Tensor) -> Tensor<Element> {
    parameter(Shape(tensor.shape), offset: tensor.offset)
  }

  func parameter(_ shape: Shape, offset: Int) -> Tensor<Element> {
    add(shape, .parameter(offset), differentiable: true)
  }

  /// A tensor that the caller fills before every run (``Execution/input(_:)``).
  ///
  /// - Parameter differentiable: whether its gradient is wanted (``Execution/gradient(_:)``).
  public func input(_ shape: Shape, differentiable: Bool = false) -> Tensor<Element> {
    let tensor = add(shape, .input, differentiable: differentiable)
    values[tensor.id].isKept = true
    return tensor
  }

  public func constant(_ numbers: [Element], _ shape: Shape) -> Tensor<Element> {
    precondition(numbers.count == shape.count)
    let tensor = add(shape, .constant(numbers), differentiable: false)
    values[tensor.id].isKept = true
    return tensor
  }

  /// Makes a result readable after a run; others lose their memory when nothing needs them any more, and
  /// what no kept result and no loss depends on is not computed at all.
  public func keep(_ tensor: Tensor<Element>) { values[tensor.id].isKept = true }

  /// Keeps every result: for looking into a graph.
  package func keepEverything() {
    for id in values.indices { values[id].isKept = true }
  }

  /// Appends an operation.
  ///
  /// - Returns: its results, in the order of `operation.outputs`.
  public func apply(
    _ operation: some Operation<Element>, to inputs: [Tensor<Element>]
  ) -> [Tensor<Element>] {
    precondition(inputs.allSatisfy { $0.graph === self }, "tensors of another graph")
    let step = operations.count
    let differentiable = inputs.contains { values[$0.id].isDifferentiable }
    let outputs = operation.outputs.map {
      add($0, .operation(step), differentiable: differentiable)
    }
    operations.append(
      Step(operation: operation, inputs: inputs.map(\.id), outputs: outputs.map(\.id)))
    return outputs
  }

  /// The same numbers under another shape, or a contiguous part of them; costs nothing.
  func view(_ tensor: Tensor<Element>, _ shape: Shape, offset: Int = 0) -> Tensor<Element> {
    precondition(offset >= 0 && offset + shape.count <= tensor.shape.count)
    return add(
      shape, .view(of: tensor.id, offset: offset),
      differentiable: values[tensor.id].isDifferentiable)
  }

  private func add(
    _ shape: Shape, _ source: Value.Source, differentiable: Bool
  ) -> Tensor<Element> {
    values.append(Value(shape: shape, source: source, isDifferentiable: differentiable))
    return Tensor(graph: self, id: values.count - 1, shape: shape)
  }

  /// The value whose memory another one lies in, and where.
  func root(_ id: Int) -> (id: Int, offset: Int) {
    var (id, total) = (id, 0)
    while case .view(let parent, let offset) = values[id].source {
      id = parent
      total += offset
    }
    return (id, total)
  }
}

/// A value of a graph that is being written: a handle, not numbers.
public struct Tensor<Element: Real> {
  public let graph: Graph<Element>
  let id: Int
  public let shape: Shape
}

/// One kind of computation with its derivative.
///
/// A value without state: it may run in many executions at once. Kernels read and write the memory that the
/// context hands out, and allocate nothing.
public protocol Operation<Element>: Sendable {
  associatedtype Element: Real

  /// Shapes of the results.
  var outputs: [Shape] { get }
  /// Numbers that `forward` leaves for `backward`.
  var tapeCount: Int { get }
  /// The same where there is no backward pass.
  var undifferentiatedTapeCount: Int { get }
  /// Numbers that one call of `forward` or `backward` needs for itself.
  var scratchCount: Int { get }
  /// Of parts that it runs in its scratch memory.
  var plans: [Plan<Element>] { get }
  /// Inputs whose numbers `backward` reads; memory of the others is free earlier.
  func backwardReads(input: Int) -> Bool
  /// Whether `backward` reads the results.
  var backwardReadsOutputs: Bool { get }

  func forward(_ context: OperationContext<Element>)

  /// Gradients of the inputs from those of the outputs. Called only where at least one is wanted.
  func backward(_ context: OperationContext<Element>)

  // Gradients of the parameters for some rows of the batch: UnitGradient.swift, with defaults for all.
  var gradientsAreSeparate: Bool { get }
  var backwardRepeats: Bool { get }
  func unitForm(_ operands: UnitOperands) -> UnitForm?
  func rowForm(_ operands: UnitOperands) -> RowForm?
  func addUnitGradient(_ unit: UnitRows, _ context: OperationContext<Element>)
}

extension Operation {
  public var tapeCount: Int { 0 }
  public var undifferentiatedTapeCount: Int { tapeCount }
  public var scratchCount: Int { 0 }
  public var plans: [Plan<Element>] { [] }
  public func backwardReads(input: Int) -> Bool { true }
  public var backwardReadsOutputs: Bool { false }
}

/// What an operation sees of a run: where its operands lie.
public struct OperationContext<Element: Real> {
  let execution: Execution<Element>
  let step: Int

  /// Where a gradient goes.
  public struct Gradient {
    public let base: UnsafeMutablePointer<Element>
    /// Whether it is added to what is there; else what is there is garbage and is overwritten.
    public let adds: Bool
    /// 1 to add, 0 to overwrite: the `beta` of a matrix product.
    public var beta: Element { adds ? 1 : 0 }

    /// Makes it a sum to add to.
    public func cleared(_ count: Int) -> UnsafeMutablePointer<Element> {
      if !adds { base.clear(count) }
      return base
    }
  }

  public func input(_ index: Int) -> UnsafePointer<Element> {
    UnsafePointer(execution.pointer(execution.steps[step].inputs[index]))
  }

  public func output(_ index: Int = 0) -> UnsafeMutablePointer<Element> {
    execution.pointer(execution.steps[step].outputs[index])
  }

  /// nil where nothing depends on this result.
  public func outputGradient(_ index: Int = 0) -> UnsafeMutablePointer<Element>? {
    execution.steps[step].outputGradients[index].map { execution.pointer($0) }
  }

  /// nil where it is not wanted.
  public func inputGradient(_ index: Int) -> Gradient? {
    execution.steps[step].inputGradients[index].map {
      Gradient(base: execution.gradientPointer($0.place), adds: $0.adds)
    }
  }

  /// Where `backward` is to leave the gradients of every row for an operand without rows: in the layout of
  /// ``Operation/rowForm(_:)``, overwriting what is there. nil where the sum over rows is wanted, or none.
  public func rowGradient(_ index: Int) -> RowGradient? {
    let planned = execution.steps[step]
    guard planned.rows > 0, let place = planned.rowGradients[index] else { return nil }
    return RowGradient(base: execution.pointer(place), rows: planned.rows)
  }

  /// Where gradients of rows go.
  public struct RowGradient {
    public let base: UnsafeMutablePointer<Element>
    /// Rows of the batch.
    public let rows: Int
  }

  public var tape: UnsafeMutablePointer<Element> {
    execution.pointer(execution.steps[step].tape)
  }

  public var scratch: UnsafeMutablePointer<Element> {
    execution.pointer(execution.steps[step].scratch)
  }

  /// The execution of one of the plans of this step's operation, made ready in `memory`.
  ///
  /// - Parameter part: of those that the plan is run for; each draws random numbers of its own.
  func nested(
    _ plan: Int = 0, in memory: UnsafeMutablePointer<Element>, part: Int = 0
  ) -> Execution<Element> {
    let nested = execution.nested[step][plan]
    nested.borrow(memory, from: execution, step: step, part: part)
    return nested
  }

  /// Whether `backward` will be called.
  var isDifferentiated: Bool { execution.steps[step].runsBackward }

  /// Whether this run trains (dropout is active).
  public var isTraining: Bool { execution.isTraining }

  /// Random numbers of this operation in this run: the same for equal seeds, whatever else is drawn.
  public func stream(_ purpose: String) -> RandomStream {
    RandomStream(seed: execution.seed, purpose: "\(purpose) \(step) \(execution.run)")
  }
}
