import CKernels

/// The linear recurrence `h_t = A_t h_{t-1} + b_t` over time; see ``ScanSchedule`` for how threads share it.
///
/// Inputs: the planes of `A`, those of `b`, then those of the initial state if there is one. A column of `k`
/// numbers comes as one tensor `[T, k, ...]`, a complex number as two. Results: all `h`, in the same way.
struct LinearScan<Element: Real>: Operation {
  private let schedule: ScanSchedule<Element>
  private let isConstant: Bool
  private let isReverse: Bool
  private let hasInitial: Bool
  let outputs: [Shape]

  /// - Parameters:
  ///   - shape: of `b` (complex: of its real part), time first.
  ///   - isConstant: `A` is the same at every step, and repeats every `period` channels.
  init(
    _ state: ScanState, shape: Shape, period: Int, isConstant: Bool, isReverse: Bool,
    hasInitial: Bool, threads: Int
  ) {
    let columns = state == .complex ? 1 : state.planes
    schedule = ScanSchedule(
      state, steps: shape[0], channels: shape.count / shape[0] / columns, period: period,
      threads: threads)
    self.isConstant = isConstant
    self.isReverse = isReverse
    self.hasInitial = hasInitial
    outputs = [Shape](repeating: shape, count: state == .complex ? 2 : 1)
  }

  /// Tensors of a state: two for a complex one.
  private var tensors: Int { outputs.count }
  private var state: ScanState { schedule.state }
  private var channels: Int { schedule.channels }
  /// Numbers of one tensor from one step to the next.
  private var row: Int { channels * state.planes / tensors }
  private var matrixRow: Int {
    isConstant ? 0 : schedule.period * state.matrixPlanes / tensors
  }

  var backwardReadsOutputs: Bool { true }
  func backwardReads(input: Int) -> Bool { input / tensors != 1 }

  private func aligned(_ count: Int) -> Int { (count + 15) / 16 * 16 }
  private var carryCount: Int { aligned(state.planes * channels) }
  private var sumsCount: Int {
    isConstant ? aligned((schedule.parts - 1) * state.matrixPlanes * schedule.period) : 0
  }
  var scratchCount: Int { carryCount + sumsCount + schedule.scratchCount }

  /// Bytes from the plane of a real part, or of a number of a column, to the next.
  private func plane<Pointer: Strideable>(_ pointers: [Pointer], of width: Int) -> Int
  where Pointer.Stride == Int {
    let size = MemoryLayout<Element>.stride
    return pointers.count == 2 ? pointers[0].distance(to: pointers[1]) * size : width * size
  }

  private func scan(_ context: OperationContext<Element>) -> ck_scan {
    func inputs(_ index: Int) -> [UnsafePointer<Element>] {
      (0..<tensors).map { context.input(index * tensors + $0) }
    }
    let direction = isReverse ? -1 : 1
    let last = isReverse ? schedule.steps - 1 : 0
    var scan = ck_scan()
    (scan.steps, scan.channels, scan.size) = (schedule.steps, channels, state.kernelSize)
    let (a, b) = (inputs(0), inputs(1))
    scan.a = UnsafeRawPointer(a[0] + last * matrixRow)
    (scan.a_time, scan.a_plane) = (direction * matrixRow, plane(a, of: schedule.period))
    scan.b = UnsafeRawPointer(b[0] + last * row)
    (scan.b_time, scan.b_plane) = (direction * row, plane(b, of: channels))
    if hasInitial {
      let initial = inputs(2)
      scan.initial = UnsafeRawPointer(initial[0])
      scan.initial_plane = plane(initial, of: channels)
    }
    let h = (0..<tensors).map { context.output($0) }
    scan.h = UnsafeMutableRawPointer(h[0] + last * row)
    (scan.h_time, scan.h_plane) = (direction * row, plane(h, of: channels))
    return scan
  }

  func forward(_ context: OperationContext<Element>) {
    schedule.forward(scan(context), scratch: context.scratch + carryCount + sumsCount)
  }

  /// Where the gradients of one operand go: all are added to, or all overwritten.
  private func gradients(
    _ context: OperationContext<Element>, _ index: Int, _ count: Int, sums: Bool = false
  ) -> (bases: [UnsafeMutablePointer<Element>], adds: Bool)? {
    let wanted = (0..<tensors).compactMap { context.inputGradient(index * tensors + $0) }
    guard !wanted.isEmpty else { return nil }
    precondition(wanted.count == tensors, "both parts of a complex number are differentiated")
    let adds = sums || wanted.contains(where: \.adds)
    return (wanted.map { adds ? $0.cleared(count) : $0.base }, adds)
  }

  func backward(_ context: OperationContext<Element>) {
    let scan = scan(context)
    let direction = isReverse ? -1 : 1
    let last = isReverse ? schedule.steps - 1 : 0
    let carry = context.scratch
    let sums = carry + carryCount
    carry.update(repeating: 0, count: carryCount + sumsCount)
    var adjoint = ck_scan_adjoint()
    let size = MemoryLayout<Element>.stride
    adjoint.carry = UnsafeMutableRawPointer(carry)
    adjoint.carry_plane = channels * size
    let dh = (0..<tensors).map { context.outputGradient($0) }
    if let first = dh.first(where: { $0 != nil }) ?? nil {
      adjoint.dh = UnsafeRawPointer(first + last * row)
      adjoint.dh_time = direction * row
      // Of a complex number, one part alone may have a gradient.
      let both = dh.compactMap { $0 }
      adjoint.dh_plane = both.count < tensors ? 0 : plane(both, of: channels)
      for (part, base) in dh.enumerated() where base == nil { adjoint.dh_skips |= 1 << Int32(part) }
    }
    let matrixCount =
      (isConstant ? 1 : schedule.steps) * schedule.period * state.matrixPlanes / tensors
    let da = gradients(context, 0, matrixCount, sums: isConstant)
    if let da {
      adjoint.da = UnsafeMutableRawPointer(da.bases[0] + last * matrixRow)
      adjoint.da_time = direction * matrixRow
      adjoint.da_plane = plane(da.bases, of: schedule.period)
      adjoint.da_adds = da.adds ? 1 : 0
    }
    if let db = gradients(context, 1, schedule.steps * row) {
      adjoint.db = UnsafeMutableRawPointer(db.bases[0] + last * row)
      (adjoint.db_time, adjoint.db_plane) = (direction * row, plane(db.bases, of: channels))
      adjoint.db_adds = db.adds ? 1 : 0
    }
    schedule.backward(
      scan, adjoint, sums: isConstant ? sums : nil, scratch: carry + carryCount + sumsCount)
    if isConstant, let da {
      let count = schedule.period * state.matrixPlanes / tensors
      for part in 1..<max(schedule.parts, 1) {
        for tensor in 0..<tensors {
          let from = sums + ((part - 1) * tensors + tensor) * count
          Element.add(count, from, to: da.bases[tensor])
        }
      }
    }
    if hasInitial {
      for tensor in 0..<tensors {
        guard let to = context.inputGradient(2 * tensors + tensor) else { continue }
        Element.scale(row, 1, carry + tensor * row, to.base, adds: to.adds)
      }
    }
  }
}

extension Tensor {
  /// The linear recurrence `h_t = factor_t * h_{t-1} + self_t` over the first axis, elementwise.
  ///
  /// - Parameters:
  ///   - factor: of the shape of `self` `[T, B, D]`, or of its last axes (`[B, D]`, `[D]`): then the same at
  ///     every step and, where axes are missing, in every sequence.
  ///   - initial: `h` before the first step `[B, D]`; zero if nil.
  ///   - reverse: from the last step to the first, `h_t = factor_t * h_{t+1} + self_t`.
  ///   - threads: that may share the work; see ``ScanSchedule``. Training shares batches instead, so 1.
  /// - Returns: `h` of every step `[T, B, D]`.
  ///
  /// Time 1 multiplication and addition for each number, limited by memory; the gradient reads and writes
  /// twice as much. Depth `2 T / (threads + 1)`.
  public func linearScan(
    factor: Tensor, initial: Tensor? = nil, reverse: Bool = false, threads: Int = 1
  ) -> Tensor {
    let (period, isConstant) = Self.period(factor.shape, in: shape, leading: 0)
    precondition(initial.map { $0.shape.count == shape.count / shape[0] } ?? true)
    let operation = LinearScan<Element>(
      .column(1), shape: shape, period: period, isConstant: isConstant, isReverse: reverse,
      hasInitial: initial != nil, threads: threads)
    return graph.apply(operation, to: [factor, self] + (initial.map { [$0] } ?? []))[0]
  }

  /// The recurrence with small dense matrices `h_t = A_t h_{t-1} + self_t`, one for each channel: a
  /// block-diagonal matrix whose blocks are those of the channels.
  ///
  /// - Parameters:
  ///   - matrices: `[T, k, k, ...]` with the channels last, or `[k, k, ...]`: then the same at every step and,
  ///     where axes of channels are missing, in every sequence. `k` is 1 ... 8.
  ///   - initial: `[k, ...]`.
  /// - Returns: `[T, k, ...]` as `self`.
  public func blockLinearScan(
    matrices: Tensor, initial: Tensor? = nil, reverse: Bool = false, threads: Int = 1
  ) -> Tensor {
    precondition(shape.rank >= 2 && (1...Int(CK_SCAN_LARGEST)).contains(shape[1]), "\(shape)")
    let k = shape[1]
    let blocks = Shape([shape[0], k, k] + shape.axes.dropFirst(2))
    let (period, isConstant) = Self.period(matrices.shape, in: blocks, leading: 2)
    precondition(initial.map { $0.shape.count == shape.count / shape[0] } ?? true)
    let operation = LinearScan<Element>(
      .column(k), shape: shape, period: period, isConstant: isConstant, isReverse: reverse,
      hasInitial: initial != nil, threads: threads)
    return graph.apply(operation, to: [matrices, self] + (initial.map { [$0] } ?? []))[0]
  }

  /// After how many channels a factor repeats, and whether it is the same at every step.
  ///
  /// - Parameter leading: axes after time that are not channels, and that a constant factor has too.
  static func period(_ factor: Shape, in whole: Shape, leading: Int) -> (Int, Bool) {
    let own = Array(whole.axes.dropFirst(1).prefix(leading))
    let channels = Array(whole.axes.dropFirst(1 + leading))
    if factor == whole { return (channels.reduce(1, *), false) }
    let repeating = Array(factor.axes.dropFirst(leading))
    precondition(
      Array(factor.axes.prefix(leading)) == own
        && channels.suffix(repeating.count) == repeating[...],
      "a factor \(factor) for \(whole)")
    return (repeating.reduce(1, *), true)
  }
}

/// A complex tensor of a graph: two real ones of the same shape.
public struct ComplexTensor<Element: Real> {
  public let real: Tensor<Element>
  public let imaginary: Tensor<Element>
  public var shape: Shape { real.shape }

  public init(real: Tensor<Element>, imaginary: Tensor<Element>) {
    precondition(real.shape == imaginary.shape, "\(real.shape) and \(imaginary.shape)")
    self.real = real
    self.imaginary = imaginary
  }

  /// ``Tensor/linearScan(factor:initial:reverse:threads:)`` in complex numbers. Gradients are those with
  /// respect to the real and imaginary parts, of which both are differentiated or neither.
  public func linearScan(
    factor: ComplexTensor, initial: ComplexTensor? = nil, reverse: Bool = false, threads: Int = 1
  ) -> ComplexTensor {
    let (period, isConstant) = Tensor<Element>.period(factor.shape, in: shape, leading: 0)
    precondition(initial.map { $0.shape.count == shape.count / shape[0] } ?? true)
    let operation = LinearScan<Element>(
      .complex, shape: shape, period: period, isConstant: isConstant, isReverse: reverse,
      hasInitial: initial != nil, threads: threads)
    let operands = [factor, self] + (initial.map { [$0] } ?? [])
    let results = real.graph.apply(operation, to: operands.flatMap { [$0.real, $0.imaginary] })
    return ComplexTensor(real: results[0], imaginary: results[1])
  }
}
