package import Privacy

/// Values of some time slots, one for each series and slot.
package struct PrivateCells: Sendable {
  package private(set) var keys: [String] = []
  package private(set) var slots: [Int64] = []
  package private(set) var stamps: [Int64] = []
  package private(set) var values: [Double] = []
  private var places: [Cell: Int] = [:]
  private var series: Set<String> = []
  private(set) var rows = 0

  private let grid: CalendarGrid
  private let range: ClosedRange<Int64>
  private let mostSeries: Int

  private struct Cell: Hashable {
    let key: String
    let slot: Int64
  }

  init(_ range: ClosedRange<Int64>, grid: CalendarGrid, mostSeries: Int) {
    self.range = range
    self.grid = grid
    self.mostSeries = min(mostSeries, InputPerturbation.mostCells)
  }

  /// Takes a row of one of the slots; rows without a key, a time or a finite value are no cells.
  ///
  /// - Throws: `ServiceError`: `.query` for a second row of a cell, `.tooManySeries`. Which cells exist is public.
  mutating func append(key: UnsafeRawBufferPointer?, time: Int64?, value: Double?) throws {
    rows += 1
    guard let key, !key.isEmpty, let time, abs(time) < PanelBuilder.timeLimit, let value,
      value.isFinite
    else { return }
    let slot = Int64(grid.ordinal(of: time))
    guard range.contains(slot) else { return }
    let name = String(decoding: key, as: UTF8.self)
    guard places.updateValue(values.count, forKey: Cell(key: name, slot: slot)) == nil else {
      throw ServiceError(
        .query,
        "series \(name) has more than one row for the time slot at \(grid.text(time)): with mechanism: inputs the query must return one row for each series and step of the frequency"
      )
    }
    series.insert(name)
    guard series.count <= mostSeries else {
      throw ServiceError(
        .tooManySeries,
        "the query returns more than \(mostSeries) series: raise limits.maxSeries, up to \(InputPerturbation.mostCells) for mechanism: inputs, or select fewer"
      )
    }
    keys.append(name)
    slots.append(slot)
    stamps.append(time)
    values.append(value)
  }

  /// The same with noise on every value.
  ///
  /// - Throws: `PrivacyError.notNoisy`.
  package func perturbed(
    _ mechanism: InputPerturbation, _ random: SecureRandom
  ) throws -> PrivateCells {
    var result = self
    try mechanism.perturb(&result.values, random)
    return result
  }

  /// The same with other values.
  package func with(values: [Double]) -> PrivateCells {
    precondition(values.count == self.values.count, "\(values.count) values")
    var result = self
    result.values = values
    return result
  }
}
