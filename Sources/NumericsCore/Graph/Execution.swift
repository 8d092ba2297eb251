/// Runs a plan in memory of its own: one per thread.
///
/// After the first run nothing is allocated. Not synchronised.
public final class Execution<Element: Real> {
  public let plan: Plan<Element>
  private var memory: Memory
  /// What `memory` begins at, during a run: another execution may make a shared arena larger between runs.
  private var base: UnsafeMutablePointer<Element>
  /// `plan.steps`.
  let steps: [PlannedStep]
  private var parameters: UnsafeMutablePointer<Element>?
  private var gradientOfParameters: UnsafeMutablePointer<Element>?
  /// Executions of the operations' own plans, by step.
  private(set) var nested: [[Execution]]
  /// Runs what is done for each unit, in the memory of this one.
  let unitExecution: Execution?
  private(set) var isTraining = false
  private(set) var seed: UInt64 = 0
  private(set) var run = 0

  private enum Memory {
    case own(Buffer<Element>)
    /// Part of another execution's, lent for each run.
    case lent(UnsafeMutablePointer<Element>?)
  }

  private var arena: UnsafeMutablePointer<Element> {
    switch memory {
    case .own(let buffer): buffer.base
    case .lent(let base): base!
    }
  }

  /// - Parameter arena: memory to use, made larger where it is too small; a new one if nil. Executions that
  ///   take turns can share one.
  public init(_ plan: Plan<Element>, arena: Buffer<Element>? = nil) {
    let buffer = arena ?? Buffer(plan.arenaCount)
    buffer.reserve(plan.arenaCount)
    self.plan = plan
    steps = plan.steps
    memory = .own(buffer)
    base = buffer.base
    nested = Self.nested(in: plan, base)
    unitExecution = plan.units.map {
      Execution(borrowing: Plan(operations: $0.operations, steps: $0.places), buffer.base)
    }
    writeConstants()
  }

  private init(borrowing plan: Plan<Element>, _ base: UnsafeMutablePointer<Element>) {
    self.plan = plan
    steps = plan.steps
    self.base = base
    memory = .lent(nil)
    nested = Self.nested(in: plan, base)
    unitExecution = nil
  }

  /// Where the arena of the last run is.
  var memoryBase: UnsafeMutablePointer<Element> { base }

  private static func nested(
    in plan: Plan<Element>, _ base: UnsafeMutablePointer<Element>
  ) -> [[Execution]] {
    plan.operations.map { operation in operation.plans.map { Execution(borrowing: $0, base) } }
  }

  /// Writes the constants again, after another execution used the shared arena.
  public func writeConstants() {
    for (place, numbers) in plan.constants {
      numbers.withUnsafeBufferPointer {
        (arena + place.offset).update(from: $0.baseAddress!, count: numbers.count)
      }
    }
  }

  @inline(__always)
  func pointer(_ place: PlannedPlace) -> UnsafeMutablePointer<Element> {
    (place.isParameter ? parameters! : base) + place.offset
  }

  /// Where the caller writes an input, before every run.
  public func input(_ tensor: Tensor<Element>) -> UnsafeMutablePointer<Element> {
    arena + plan.values[tensor.id].offset
  }

  /// A kept result of the last run.
  public func value(_ tensor: Tensor<Element>) -> UnsafePointer<Element> {
    let place = plan.values[tensor.id]
    return UnsafePointer((place.isParameter ? parameters! : arena) + place.offset)
  }

  /// The gradient of a differentiable input after `backward`; nil where the loss does not depend on it.
  public func gradient(_ tensor: Tensor<Element>) -> UnsafePointer<Element>? {
    plan.gradients[tensor.id].map { UnsafePointer(arena + $0.offset) }
  }

  /// - Parameters:
  ///   - parameters: in the layout of the graph's parameters; only read.
  ///   - training: whether dropout acts.
  ///   - seed, run: name the random numbers of this run.
  public func forward(
    parameters: UnsafePointer<Element>, training: Bool = false, seed: UInt64 = 0, run: Int = 0
  ) {
    self.parameters = UnsafeMutablePointer(mutating: parameters)
    (isTraining, self.seed, self.run) = (training, seed, run)
    runForward()
  }

  /// The steps in their order.
  func runForward() {
    base = arena
    for index in steps.indices where steps[index].runsForward {
      plan.operations[index].forward(context(index))
    }
  }

  /// Adds the gradient of `scale` times the loss of the last `forward` to `gradient`.
  public func backward(into gradient: UnsafeMutablePointer<Element>, scale: Element = 1) {
    guard let loss = plan.loss, let place = plan.gradients[loss] else { return }
    arena[place.offset] = scale
    gradientOfParameters = gradient
    runBackward()
  }

  /// The steps in reverse order, from the gradients that were set.
  func runBackward() {
    base = arena
    for index in steps.indices.reversed() {
      if let units = plan.units, let early = units.early[index] {
        unitExecution!.runEarly(early, index, rows: units.rows)
      }
      guard steps[index].runsBackward else { continue }
      for (place, count) in steps[index].clears {
        (base + place.offset).clear(count)
      }
      plan.operations[index].backward(context(index))
    }
  }

  /// Makes ready to run in `base` as part of step `step` of `outer`.
  func borrow(
    _ base: UnsafeMutablePointer<Element>, from outer: Execution, step: Int, part: Int = 0
  ) {
    memory = .lent(base)
    self.base = base
    writeConstants()
    parameters = outer.parameters
    gradientOfParameters = outer.gradientOfParameters
    // Another part of the same shape draws other numbers; the same part draws them again.
    seed =
      outer.seed &+ UInt64(step + 1) &* 0x9E37_79B9_7F4A_7C15
      &+ UInt64(part) &* 0xD1B5_4A32_D192_ED03
    (isTraining, run) = (outer.isTraining, outer.run)
  }

  func gradientPointer(_ place: PlannedPlace) -> UnsafeMutablePointer<Element> {
    (place.isParameter ? gradientOfParameters! : base) + place.offset
  }

  func context(_ step: Int) -> OperationContext<Element> {
    OperationContext(execution: self, step: step)
  }
}
