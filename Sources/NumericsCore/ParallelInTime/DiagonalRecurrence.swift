import CKernels

/// A diagonal cell over a whole sequence, in either form: kernels and threads, no memory of its own.
///
/// Sequential: `3` (GRU) or `4` (LSTM) exponentials for each unit and step, nothing else that counts.
/// Newton (Danieli et al. 2025, section 3): the states of all steps solve `h_t = f(h_{t-1}, u_t)`; around
/// states that do not yet solve it, `f` is replaced by its tangent, which leaves the linear recurrence
/// `h_t = J_t h_{t-1} + b_t` with `b_t = f(h'_{t-1}) - J_t h'_{t-1}`. Starts from zero, so that the first
/// tangent is that of `f(0, u_t)`. Whether it has converged is read off the next linearisation, whose `f` is
/// compared with the states; gates and `J` of the last one are then those of the solution.
package struct DiagonalRecurrence<Element: Real>: Sendable {
  package let cell: DiagonalCell
  package let steps: Int
  package let batch: Int
  package let threads: Int
  package let limits: NewtonLimits

  package init(
    _ cell: DiagonalCell, steps: Int, batch: Int, threads: Int,
    limits: NewtonLimits = NewtonLimits()
  ) {
    precondition(steps >= 1 && batch >= 1 && threads >= 1)
    self.cell = cell
    self.steps = steps
    self.batch = batch
    self.threads = threads
    self.limits = limits
  }

  private var channels: Int { batch * cell.width }
  private var size: Int { MemoryLayout<Element>.stride }

  /// Memory of a pass.
  package struct Operands {
    /// `[T, B, 3 D]`, `[3, D]`, `[2, D]`.
    package var u: UnsafePointer<Element>
    package var recurrent: UnsafePointer<Element>
    package var peephole: UnsafePointer<Element>?
    /// `[B, D]`, zero if nil.
    package var h0: UnsafePointer<Element>?
    package var c0: UnsafePointer<Element>?
    /// `[T, B, D]`.
    package var h: UnsafeMutablePointer<Element>
    package var c: UnsafeMutablePointer<Element>?
    /// `gateCount` numbers for the gradient.
    package var gates: UnsafeMutablePointer<Element>?
    /// `jacobianCount` numbers, for Newton's method and its gradient.
    package var jacobian: UnsafeMutablePointer<Element>?

    package init(
      u: UnsafePointer<Element>, recurrent: UnsafePointer<Element>,
      peephole: UnsafePointer<Element>?, h0: UnsafePointer<Element>?, c0: UnsafePointer<Element>?,
      h: UnsafeMutablePointer<Element>, c: UnsafeMutablePointer<Element>?,
      gates: UnsafeMutablePointer<Element>?, jacobian: UnsafeMutablePointer<Element>?
    ) {
      self.u = u
      self.recurrent = recurrent
      self.peephole = peephole
      self.h0 = h0
      self.c0 = c0
      self.h = h
      self.c = c
      self.gates = gates
      self.jacobian = jacobian
    }
  }

  package var gateCount: Int { steps * cell.keptGates * channels }
  package var jacobianCount: Int { steps * cell.states * cell.states * channels }

  // MARK: Division

  /// The linear recurrences of Newton's method.
  private var schedule: ScanSchedule<Element> {
    ScanSchedule(.column(cell.states), steps: steps, channels: channels, threads: threads)
  }
  /// Chunks of time for what needs no order, and for the gradient of Newton's form.
  private var chunks: Int { min(threads, steps) }

  private struct Part {
    var rows: Range<Int>
    var units: Range<Int>
  }

  /// Sequences for each thread, or else units in whole cache lines.
  private var parts: [Part] {
    let count = min(threads, batch)
    if count == threads || threads == 1 {
      return (0..<count).map {
        Part(rows: ($0 * batch / count)..<(($0 + 1) * batch / count), units: 0..<cell.width)
      }
    }
    let line = 64 / size
    let lines = (cell.width + line - 1) / line
    let divisions = min(threads, lines)
    return (0..<divisions).map {
      Part(
        rows: 0..<batch,
        units: ($0 * lines / divisions * line)..<min(
          ($0 + 1) * lines / divisions * line, cell.width))
    }
  }

  private func kernel(_ x: Operands) -> ck_diagonal {
    var kernel = ck_diagonal()
    kernel.kind = Int32(cell.hasMemory ? CK_PARALSTM : CK_PARAGRU)
    (kernel.steps, kernel.rows, kernel.width) = (steps, batch, cell.width)
    (kernel.row_count, kernel.unit_count) = (batch, cell.width)
    kernel.u = UnsafeRawPointer(x.u)
    kernel.recurrent = UnsafeRawPointer(x.recurrent)
    kernel.peephole = x.peephole.map { UnsafeRawPointer($0) }
    kernel.h0 = x.h0.map { UnsafeRawPointer($0) }
    kernel.c0 = x.c0.map { UnsafeRawPointer($0) }
    kernel.h = UnsafeMutableRawPointer(x.h)
    kernel.c = x.c.map { UnsafeMutableRawPointer($0) }
    kernel.gates = x.gates.map { UnsafeMutableRawPointer($0) }
    return kernel
  }

  private func kernel(_ x: Operands, _ part: Part) -> ck_diagonal {
    var kernel = kernel(x)
    (kernel.first_row, kernel.row_count) = (part.rows.lowerBound, part.rows.count)
    (kernel.first_unit, kernel.unit_count) = (part.units.lowerBound, part.units.count)
    return kernel
  }

  /// The steps of a chunk, after the last state of the one before.
  private func kernel(_ x: Operands, steps range: Range<Int>) -> ck_diagonal {
    let first = range.lowerBound
    var part = x
    part.u += first * DiagonalCell.gates * channels
    part.h += first * channels
    part.c = x.c.map { $0 + first * channels }
    part.gates = x.gates.map { $0 + first * cell.keptGates * channels }
    if first > 0 {
      part.h0 = UnsafePointer(part.h - channels)
      part.c0 = part.c.map { UnsafePointer($0 - channels) }
    }
    var kernel = kernel(part)
    kernel.steps = range.count
    return kernel
  }

  private func chunk(_ index: Int) -> Range<Int> {
    (index * steps / chunks)..<((index + 1) * steps / chunks)
  }

  // MARK: Forward

  package func sequential(_ x: Operands) {
    // Parts write different rows or units.
    nonisolated(unsafe) let x = x
    let parts = parts
    parallel(count: parts.count) { index in
      var part = kernel(x, parts[index])
      ck_diagonal_forward(Element.kernelType, &part)
    }
  }

  /// Numbers for ``newton(_:scratch:)``.
  package var newtonScratchCount: Int {
    steps * cell.states * channels + 16 * chunks + schedule.scratchCount
  }

  /// What no state exceeds: each is between the one before and a number in [-1, 1], or in [-1, 1] itself.
  /// Keeping the iterations within it lets them converge from far away.
  private func bound(_ x: Operands) -> Double {
    var bound = 1.0
    for initial in [x.h0, cell.hasMemory ? x.c0 : nil].compactMap({ $0 }) {
      for k in 0..<channels { bound = max(bound, Double(abs(initial[k]))) }
    }
    return bound
  }

  /// Bytes from the plane of `h` to that of `c`.
  private func plane(_ x: Operands) -> Int { x.c.map { x.h.distance(to: $0) * size } ?? 0 }

  private func scan(_ x: Operands, b: UnsafeMutablePointer<Element>?) -> ck_scan {
    let planes = cell.states
    var scan = ck_scan()
    (scan.steps, scan.channels, scan.size) = (steps, channels, Int32(planes))
    scan.a = x.jacobian.map { UnsafeRawPointer($0) }
    (scan.a_time, scan.a_plane) = (planes * planes * channels, channels * size)
    scan.b = b.map { UnsafeRawPointer($0) }
    (scan.b_time, scan.b_plane) = (planes * channels, channels * size)
    scan.h = UnsafeMutableRawPointer(x.h)
    (scan.h_time, scan.h_plane) = (channels, plane(x))
    if let h0 = x.h0 {
      scan.initial = UnsafeRawPointer(h0)
      scan.initial_plane = x.c0.map { h0.distance(to: $0) * size } ?? 0
    }
    return scan
  }

  /// - Returns: linear recurrences solved; nil where that did not converge, and states and gates are those of
  ///   the sequential form.
  package func newton(_ x: Operands, scratch: UnsafeMutablePointer<Element>) -> Int? {
    guard let jacobian = x.jacobian else { preconditionFailure("Newton's method keeps Jacobians") }
    let planes = cell.states
    let errors = scratch + steps * planes * channels
    let scanScratch = errors + 16 * chunks
    let scan = scan(x, b: scratch)
    x.h.update(repeating: 0, count: steps * channels)
    x.c?.update(repeating: 0, count: steps * channels)
    let tolerance = limits.tolerance * Double(Element.ulpOfOne)
    let bound = bound(x)
    for iteration in 0...limits.iterations {
      nonisolated(unsafe) let (x, jacobian, b, errors) = (x, jacobian, scratch, errors)
      parallel(count: chunks) { index in
        let range = chunk(index)
        var part = kernel(x, steps: range)
        part.bound = bound
        let error = ck_diagonal_linearise(
          Element.kernelType, &part, jacobian + range.lowerBound * planes * planes * channels,
          b + range.lowerBound * planes * channels)
        errors[16 * index] = Element(error)
      }
      let error = (0..<chunks).reduce(0.0) { worst, index in
        let own = Double(errors[16 * index])
        return own > worst || own.isNaN ? own : worst
      }
      if error <= tolerance { return iteration }
      if !error.isFinite || iteration == limits.iterations { break }
      schedule.forward(scan, scratch: scanScratch)
    }
    sequential(x)
    return nil
  }

  // MARK: Backward

  /// Gradients of a pass.
  package struct Adjoint {
    /// `[T, B, D]`, optional.
    package var dh: UnsafePointer<Element>?
    package var dc: UnsafePointer<Element>?
    /// `[T, B, 3 D]`, overwritten or added to.
    package var du: UnsafeMutablePointer<Element>
    package var adds: Bool
    /// Added to.
    package var recurrent: UnsafeMutablePointer<Element>
    package var peephole: UnsafeMutablePointer<Element>?
    /// `[2, B, D]` or `[1, B, D]`: zero, then the gradients of the initial states.
    package var carry: UnsafeMutablePointer<Element>

    package init(
      dh: UnsafePointer<Element>?, dc: UnsafePointer<Element>?, du: UnsafeMutablePointer<Element>,
      adds: Bool, recurrent: UnsafeMutablePointer<Element>,
      peephole: UnsafeMutablePointer<Element>?, carry: UnsafeMutablePointer<Element>
    ) {
      self.dh = dh
      self.dc = dc
      self.du = du
      self.adds = adds
      self.recurrent = recurrent
      self.peephole = peephole
      self.carry = carry
    }
  }

  private var weightCount: Int { (DiagonalCell.gates + 2) * cell.width }
  /// Numbers for ``backward(_:_:isNewton:scratch:)``.
  package var backwardScratchCount: Int {
    threads * weightCount + boundarySchedule.scratchCount
  }
  /// As many chunks as threads; only the maps of chunks are used.
  private var boundarySchedule: ScanSchedule<Element> {
    ScanSchedule(
      .column(cell.states), steps: steps, channels: channels, threads: threads,
      division: .time(chunks - 1))
  }

  /// - Parameter isNewton: Newton's method converged and left its Jacobians: time is divided.
  package func backward(
    _ x: Operands, _ adjoint: Adjoint, isNewton: Bool, scratch: UnsafeMutablePointer<Element>
  ) {
    nonisolated(unsafe) let (x, whole) = (x, adjoint)
    nonisolated(unsafe) let sums = scratch
    sums.update(repeating: 0, count: threads * weightCount)
    // Parts add their gradients of the weights to sums of their own, which are added in order.
    @Sendable func kernelAdjoint(_ part: Int) -> ck_diagonal_adjoint {
      let own = sums + part * weightCount
      var kernel = ck_diagonal_adjoint()
      kernel.dh = whole.dh.map { UnsafeRawPointer($0) }
      kernel.dc = whole.dc.map { UnsafeRawPointer($0) }
      kernel.carry_h = UnsafeMutableRawPointer(whole.carry)
      kernel.carry_c = UnsafeMutableRawPointer(whole.carry + (cell.hasMemory ? channels : 0))
      kernel.du = UnsafeMutableRawPointer(whole.du)
      kernel.adds = whole.adds ? 1 : 0
      kernel.recurrent = UnsafeMutableRawPointer(own)
      kernel.peephole = UnsafeMutableRawPointer(own + DiagonalCell.gates * cell.width)
      return kernel
    }
    if isNewton, chunks > 1 {
      var back = ck_scan_adjoint()
      let gradients = [whole.dh] + (cell.hasMemory ? [whole.dc] : [])
      if let base = gradients.compactMap({ $0 }).first {
        back.dh = UnsafeRawPointer(base)
        back.dh_time = channels
        if let dh = whole.dh, let dc = whole.dc { back.dh_plane = dh.distance(to: dc) * size }
        for (plane, gradient) in gradients.enumerated() where gradient == nil {
          back.dh_skips |= 1 << Int32(plane)
        }
      }
      back.carry = UnsafeMutableRawPointer(whole.carry)
      back.carry_plane = channels * size
      nonisolated(unsafe) let carries = boundarySchedule.carries(
        scan(x, b: nil), back, scratch: scratch + threads * weightCount)
      parallel(count: chunks) { index in
        let range = chunk(index)
        var part = kernel(x, steps: range)
        var own = kernelAdjoint(index)
        let first = range.lowerBound
        own.dh = whole.dh.map { UnsafeRawPointer($0 + first * channels) }
        own.dc = whole.dc.map { UnsafeRawPointer($0 + first * channels) }
        own.du = UnsafeMutableRawPointer(whole.du + first * DiagonalCell.gates * channels)
        if index < chunks - 1 {
          let carry = carries + (chunks - 2 - index) * cell.states * channels
          own.carry_h = UnsafeMutableRawPointer(carry)
          own.carry_c = UnsafeMutableRawPointer(carry + (cell.hasMemory ? channels : 0))
        }
        ck_diagonal_backward(Element.kernelType, &part, &own)
      }
      whole.carry.update(
        from: carries + (chunks - 2) * cell.states * channels, count: cell.states * channels)
    } else {
      let parts = parts
      parallel(count: parts.count) { index in
        var part = kernel(x, parts[index])
        var own = kernelAdjoint(index)
        ck_diagonal_backward(Element.kernelType, &part, &own)
      }
    }
    for part in 0..<threads {
      let own = sums + part * weightCount
      Element.add(cell.recurrentShape.count, own, to: whole.recurrent)
      if let peephole = whole.peephole {
        Element.add(2 * cell.width, own + cell.recurrentShape.count, to: peephole)
      }
    }
  }
}
