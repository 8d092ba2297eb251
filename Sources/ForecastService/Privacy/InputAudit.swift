import Foundation
package import Privacy
package import Training

/// The audit of noise on inputs: what an attacker learns of made-up persons from the values that runs release.
///
/// A canary is a person who is counted in one series, of its own, and changes it by the declared sensitivity in every
/// slot that is accounted for. A coin decides whether the person is in the data. Runs follow one another as a schedule
/// would make them: they find out which slots are new, take the rows of these, and put noise on them, by the code
/// of jobs (``PrivateInputStages``). Of the tables in which jobs keep what was released the audit has none: that a later run
/// reads them, and not the source, is up to the database, and so are its locks.
package struct InputAudit: Sendable {
  let grid: CalendarGrid
  let inputs: JobDefinition.InputPrivacy
  package var stages = PrivateInputStages()
  /// Where coins and noise come from.
  package var random: @Sendable () -> SecureRandom = { SecureRandom() }

  package init(grid: CalendarGrid, inputs: JobDefinition.InputPrivacy) {
    (self.grid, self.inputs) = (grid, inputs)
  }

  /// Values that one run releases at most, as far as a run of one slot does: they are in memory together.
  private static let mostCells = 1 << 19
  /// Values of an audit: ten minutes of one core or so.
  private static let mostValues = 1 << 30
  /// Closed slots before the new ones whose rows, corrected, are offered to each run again.
  private static let corrected: Int64 = 2

  /// - Parameters:
  ///   - canaries, steps, confidence: as in `PrivateTrainer.audit`; steps are time slots.
  ///   - progress: the share that is done.
  /// - Throws: `TrainingError.badConfiguration`, `PrivacyError`, `ServiceError`, what `progress` throws.
  package func run(
    canaries: Int? = nil, steps: Int? = nil, confidence: Double = 0.95,
    progress: (Double) throws -> Void = { _ in }
  ) throws -> PrivateAudit {
    let began = Date()
    let whole = try inputs.mechanism()
    let canaries = canaries ?? PrivateAudit.standardCanaries
    func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
      if !holds { throw TrainingError(.badConfiguration, text()) }
    }
    try require(
      (10...InputPerturbation.mostCells).contains(canaries),
      "canaries is \(canaries), expected 10 to \(InputPerturbation.mostCells), the cells of a slot")
    try PrivateAudit.check(
      steps: steps, of: inputs.slots, name: "the slots that epsilon is for", confidence: confidence)
    let slots = steps ?? inputs.slots
    try require(
      slots <= Self.mostValues / canaries,
      "\(canaries) canaries in \(slots) slots are more than \(Self.mostValues) values, expected fewer of either (--steps, --canaries)"
    )
    let mechanism = try InputPerturbation(
      sensitivity: inputs.sensitivity, slots: slots, deviation: whole.deviation)
    let auditor = InputAuditor(
      Canaries(count: canaries, random: random()), mechanism)
    try release(slots, mechanism, auditor, progress)

    let claim = PrivateAudit.Claim(
      .inputs, unit: "person", epsilon: try mechanism.epsilon(atDelta: inputs.delta),
      delta: inputs.delta, steps: slots, noiseMultiplier: mechanism.noiseMultiplier)
    return try PrivateAudit(
      claim, auditor.canaries, mechanism.accountant.equivalent, steps: 1,
      addedDelta: InputPerturbation.samplingDelta(slots: slots), confidence: confidence,
      findings: [
        auditor.releases, auditor.noiseFinding, auditor.roundingFinding,
        try sensitivity(mechanism),
      ], began: began)
  }

  /// Some time in this century.
  private var firstSlot: Int64 {
    Int64(grid.ordinal(of: grid.frequency.isInteger ? 0 : 1_704_067_200_000_000))
  }

  /// The runs of a job, until all slots are released.
  private func release(
    _ slots: Int, _ mechanism: InputPerturbation, _ auditor: InputAuditor,
    _ progress: (Double) throws -> Void
  ) throws {
    let size = max(1, min(inputs.history, slots, Self.mostCells / auditor.canaries.count))
    let (first, end) = (firstSlot, firstSlot + Int64(slots) - 1)
    var seen = PrivateSlots(history: size)
    var last = first + Int64(size) - 1
    while true {
      // A job is run again at the same cutoff: a retry, or a refit.
      for _ in 0..<2 {
        guard let release = stages.plan(seen, last) else { continue }
        // The slot of a cutoff is mostly not over yet, and has no rows: the next run gets them.
        let offered = max(first, release.read.lowerBound - Self.corrected)...last
        let cells = try self.cells(
          release, offered, upTo: last == end ? end : last - 1, auditor,
          closed: seen.releasedThrough)
        let noisy = try stages.perturb(cells, mechanism, random())
        auditor.observe(noisy, charged: release.charged)
        seen.note(release, noisy.slots)
      }
      try progress(Double(last - first + 1) / Double(slots))
      if last == end { return }
      last = min(end, last + Int64(size))
    }
  }

  /// What the job's query returns, read as a run reads it.
  private func cells(
    _ release: PrivateSlots.Release, _ offered: ClosedRange<Int64>, upTo end: Int64,
    _ auditor: InputAuditor, closed: Int64?
  ) throws -> PrivateCells {
    var cells = PrivateCells(release.read, grid: grid, mostSeries: auditor.canaries.count)
    for slot in offered where slot <= end {
      let stamp = grid.instant(of: Int(slot))
      // A day that the time zone left out has no rows.
      guard Int64(grid.ordinal(of: stamp)) == slot else { continue }
      for (canary, key) in auditor.keys.enumerated() {
        try key.withUnsafeBytes {
          try cells.append(
            key: $0, time: stamp,
            value: auditor.value(of: canary, in: slot)
              + (closed.map { slot <= $0 } == true ? inputs.sensitivity : 0))
        }
      }
    }
    return cells
  }

  /// How much a person changes what is noised, rounding included: two data sets with the same noise.
  ///
  /// - Throws: `PrivacyError`, `ServiceError`.
  private func sensitivity(_ mechanism: InputPerturbation) throws -> PrivateAudit.Finding {
    let (size, declared) = (1000, mechanism.sensitivity)
    let slot = firstSlot
    let stamp = grid.instant(of: Int(slot))
    var worst = 0.0
    var number = 0.5
    for magnitude in [0x1p-10, 1, 0x1p10] {
      for changed in [1, 2, 7, size] {
        var cells = PrivateCells(slot...slot, grid: grid, mostSeries: size)
        for series in 0..<size {
          // Fractions that fall on all sides of the grid's steps.
          number = (number + 0.6180339887498949).truncatingRemainder(dividingBy: 1)
          try Array("series \(series)".utf8).withUnsafeBytes {
            try cells.append(
              key: $0, time: stamp, value: (number - 0.5) * magnitude * mechanism.deviation)
          }
        }
        var values = cells.values
        let share = declared / Double(changed).squareRoot()
        for k in 0..<changed { values[k] += k % 2 == 0 ? share : -share }
        let key = SIMD8<UInt32>(repeating: UInt32(changed))
        let without = try stages.perturb(cells, mechanism, SecureRandom(fixedKey: key))
        let with = try stages.perturb(
          cells.with(values: values), mechanism, SecureRandom(fixedKey: key))
        let square = zip(with.values, without.values).reduce(0) {
          $0 + ($1.0 - $1.1) * ($1.0 - $1.1)
        }
        worst = max(worst, square.squareRoot())
      }
    }
    // What rounding to the grid may add is accounted for; the last digits of sums of large numbers are not the grid's.
    let allowed = mechanism.deviation / mechanism.noiseMultiplier * (1 + 1e-9)
    return PrivateAudit.Finding(
      .sensitivity, isRight: worst <= allowed,
      "a person changes a slot by at most \(PrivateAudit.Finding.number(worst / declared)) times the declared sensitivity"
    )
  }
}
