package import Privacy

/// How far the values of a private input are paid for and released, by numbers of the grid's time slots.
///
/// What a run releases follows from its cutoff and from the releases before, and not from the data: so it can be charged
/// before anything is read.
package struct PrivateSlots: Sendable, Equatable {
  /// Slots up to the first run's cutoff that it releases.
  package let history: Int
  /// nil before the first release.
  package private(set) var paidThrough: Int64?
  /// The last slot with a value; this one and those before are closed.
  package private(set) var releasedThrough: Int64?

  package init(history: Int, paidThrough: Int64? = nil, releasedThrough: Int64? = nil) {
    self.history = history
    self.paidThrough = paidThrough
    self.releasedThrough = releasedThrough
  }

  /// What one run charges and reads.
  package struct Release: Sendable, Equatable {
    package let charged: ClosedRange<Int64>
    /// From the first slot that is not closed: those paid for that had no value yet are read again.
    package let read: ClosedRange<Int64>

    package init(charged: ClosedRange<Int64>, read: ClosedRange<Int64>) {
      (self.charged, self.read) = (charged, read)
    }

    /// The last slot that is closed then.
    ///
    /// - Parameter slots: that had values.
    package func through(_ slots: [Int64]) -> Int64 {
      slots.max() ?? min(read.lowerBound - 1, charged.upperBound)
    }
  }

  /// What a run whose cutoff lies in slot `last` releases; nil where no slot is new.
  package func release(through last: Int64) -> Release? {
    let first = paidThrough.map { $0 + 1 } ?? last - Int64(history) + 1
    guard first <= last else { return nil }
    let open = (releasedThrough ?? first - 1) + 1
    return Release(charged: first...last, read: open...max(open, last))
  }

  /// A run has released values of these slots.
  package mutating func note(_ release: Release, _ slots: [Int64]) {
    paidThrough = release.charged.upperBound
    releasedThrough = release.through(slots)
  }
}

/// What makes a job's inputs private, in the order in which it is done.
///
/// A run has these and no others; they can be replaced within this package, so that tests can put a broken one in place
/// of each and see the audit find it (as `PrivateStages` for trainings).
package struct PrivateInputStages: Sendable {
  package var plan: @Sendable (PrivateSlots, _ last: Int64) -> PrivateSlots.Release? = {
    $0.release(through: $1)
  }

  package var perturb:
    @Sendable (PrivateCells, InputPerturbation, SecureRandom) throws -> PrivateCells = {
      try $0.perturbed($1, $2)
    }

  package init() {}
}
