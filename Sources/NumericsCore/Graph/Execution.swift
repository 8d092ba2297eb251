/// Runs a plan in memory of its own: one per thread.
///
/// After the first run nothing is allocated. Not synchronised.
public final class Execution<Element: Real> {
  public let plan: Plan<Element>
  private let arena: Buffer<Element>
  private var parameters: UnsafeMutablePointer<Element>?
  private var gradientOfParameters: UnsafeMutablePointer<Element>?
  private var isDifferentiating = false
  private(set) var isTraining = false
  private(set) var seed: UInt64 = 0
  private(set) var run = 0

  /// - Parameter arena: memory to use, made larger where it is too small; a new one if nil. Executions that
  ///   take turns can share one.
  public init(_ plan: Plan<Element>, arena: Buffer<Element>? = nil) {
    self.plan = plan
    self.arena = arena ?? Buffer(plan.arenaCount)
    self.arena.reserve(plan.arenaCount)
    writeConstants()
  }

  /// Writes the constants again, after another execution used the shared arena.
  public func writeConstants() {
    for (place, numbers) in plan.constants {
      numbers.withUnsafeBufferPointer {
        (arena.base + place.offset).update(from: $0.baseAddress!, count: numbers.count)
      }
    }
  }

  @inline(__always)
  func pointer(_ place: Plan<Element>.Place) -> UnsafeMutablePointer<Element> {
    guard place.isParameter else { return arena.base + place.offset }
    return parameters! + place.offset
  }

  /// Where the caller writes an input, before every run.
  public func input(_ tensor: Tensor<Element>) -> UnsafeMutablePointer<Element> {
    arena.base + plan.values[tensor.id].offset
  }

  /// A kept result of the last run.
  public func value(_ tensor: Tensor<Element>) -> UnsafePointer<Element> {
    UnsafePointer(pointer(plan.values[tensor.id]))
  }

  /// The gradient of a differentiable input after `backward`; nil where the loss does not depend on it.
  public func gradient(_ tensor: Tensor<Element>) -> UnsafePointer<Element>? {
    plan.gradients[tensor.id].map { UnsafePointer(arena.base + $0.offset) }
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
    for index in plan.steps.indices {
      plan.steps[index].operation.forward(context(index))
    }
  }

  /// Adds the gradient of `scale` times the loss of the last `forward` to `gradient`.
  public func backward(into gradient: UnsafeMutablePointer<Element>, scale: Element = 1) {
    guard let loss = plan.loss, let place = plan.gradients[loss] else { return }
    arena.base[place.offset] = scale
    gradientOfParameters = gradient
    for index in plan.steps.indices.reversed() where plan.steps[index].runsBackward {
      for (place, count) in plan.steps[index].clears {
        (arena.base + place.offset).update(repeating: 0, count: count)
      }
      plan.steps[index].operation.backward(context(index))
    }
  }

  func gradientPointer(_ place: Plan<Element>.Place) -> UnsafeMutablePointer<Element> {
    place.isParameter ? gradientOfParameters! + place.offset : arena.base + place.offset
  }

  private func context(_ step: Int) -> OperationContext<Element> {
    OperationContext(execution: self, step: step)
  }
}
