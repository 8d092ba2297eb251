import Training

/// Collects rows of (series, time, value) and makes a panel of them.
///
/// Appending allocates nothing per row. Rows may come in any order; the result, verdicts and digest do
/// not depend on it. Memory: 20 bytes a row while collecting; ``finish()`` peaks at 24 when rows come
/// series by series and below 36 however they come, plus the keys.
package struct PanelBuilder: Sendable {
  /// Rows in columns, a fixed number to a chunk, so that growing never copies.
  struct Chunk: Sendable {
    var series: [Int32] = []
    var times: [Int64] = []
    var values: [Double] = []
  }

  static let chunkRows = 1 << 16
  /// Instants beyond this many microseconds (years -251 000 to 255 000) are not calendar times; integer
  /// steps beyond leave no room for a horizon.
  static let timeLimit: Int64 = 8_000_000_000_000_000_000
  /// Stands for NULL among the values; apart from all NaN that arithmetic makes.
  static let null = Double(bitPattern: 0x7FF8_4E55_4C4C_0001)

  let grid: CalendarGrid
  let options: PanelOptions
  var keys = KeyTable()
  var rowsOfSeries: [Int] = []
  var full: [Chunk] = []
  var chunk = Chunk()
  /// Rows without a usable time by series; nearly always empty.
  var badTimes: [Int: Int] = [:]
  var nullKeys = 0
  private var lastSeries = -1

  package init(grid: CalendarGrid, options: PanelOptions) {
    self.grid = grid
    self.options = options
  }

  /// Rows appended so far.
  package var rows: Int { full.count * Self.chunkRows + chunk.times.count + nullKeys + badRows }
  private var badRows: Int { badTimes.isEmpty ? 0 : badTimes.values.reduce(0, +) }

  /// Different series so far.
  package var seriesCount: Int { keys.count }

  /// Takes one row.
  ///
  /// - Parameters:
  ///   - key: UTF-8 of the series key; nil for NULL. An empty key names no series either.
  ///   - time: microseconds since 1970-01-01 UTC, `Int64.max` and `.min` for infinity, or the integer
  ///     step; nil for NULL.
  ///   - value: nil for NULL.
  /// - Throws: `PanelError.tooManySeries`.
  @inline(__always)
  package mutating func append(
    key: UnsafeRawBufferPointer?, time: Int64?, value: Double?
  ) throws(PanelError) {
    guard let key, !key.isEmpty else {
      nullKeys += 1
      return
    }
    if lastSeries < 0 || !keys.isEqual(lastSeries, key) { try find(key) }
    guard let time, isPlaceable(time) else {
      badTimes[lastSeries, default: 0] += 1
      return
    }
    chunk.series.append(Int32(truncatingIfNeeded: lastSeries))
    chunk.times.append(time)
    // Adding zero makes one zero of the two.
    chunk.values.append(value.map { $0 + 0 } ?? Self.null)
    rowsOfSeries[lastSeries] += 1
    if chunk.times.count == Self.chunkRows { seal() }
  }

  /// As ``append(key:time:value:)`` with a key of text.
  package mutating func append(key: String, time: Int64?, value: Double?) throws(PanelError) {
    var key = key
    let result: Result<Void, PanelError> = key.withUTF8 { bytes in
      do throws(PanelError) {
        try append(key: UnsafeRawBufferPointer(bytes), time: time, value: value)
        return .success(())
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }

  private func isPlaceable(_ time: Int64) -> Bool {
    time < Self.timeLimit && time > -Self.timeLimit
  }

  private mutating func find(_ key: UnsafeRawBufferPointer) throws(PanelError) {
    let limit = min(options.maxSeries, Int(Int32.max))
    guard let index = keys.index(of: key, limit: limit) else {
      throw PanelError(code: .tooManySeries, limit: limit)
    }
    if index == rowsOfSeries.count { rowsOfSeries.append(0) }
    lastSeries = index
  }

  private mutating func seal() {
    full.append(chunk)
    chunk = Chunk()
    chunk.series.reserveCapacity(Self.chunkRows)
    chunk.times.reserveCapacity(Self.chunkRows)
    chunk.values.reserveCapacity(Self.chunkRows)
  }

  /// PostgreSQL's microseconds since 2000-01-01 UTC as microseconds since 1970; infinities stay.
  @inline(__always)
  package static func unixMicroseconds(sincePostgresEpoch time: Int64) -> Int64 {
    let (sum, overflow) = time.addingReportingOverflow(946_684_800_000_000)
    return overflow || time == .min ? (time > 0 ? .max : .min) : sum
  }

  /// The panel, the verdicts of all series and the digest of what was read.
  ///
  /// Cost: a counting sort by series, a sort within each series that did not come in time order, and
  /// SHA-256 over 16 bytes a row.
  ///
  /// The builder is empty afterwards: mutating, so that rows are freed while they are moved.
  package mutating func finish() -> BuiltPanel {
    let built = build()
    self = PanelBuilder(grid: grid, options: options)
    return built
  }
}
