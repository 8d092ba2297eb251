import Crypto
import Training

/// One row while the panel is built; 16 bytes, hashed as they lie (little-endian).
struct PanelRow {
  /// Time as read, later the ordinal of its step.
  var time: Int64
  var value: Double
}

extension PanelBuilder {
  /// The digest is SHA-256 over, for each series in byte order of its key: length of the key, key,
  /// number of rows, number of rows without a time, then time and value of each row, sorted by time and
  /// by the bits of the value; at the end the number of rows without a key. Numbers are 8 bytes,
  /// little-endian; NULL is a NaN of its own, so NULL and NaN differ.
  mutating func build() -> BuiltPanel {
    let order = keys.sorted()
    let total = rows
    let positions = starts(order)
    let count = positions.last ?? 0
    let storage = UnsafeMutableBufferPointer<PanelRow>.allocate(capacity: count)
    defer { storage.deallocate() }
    scatter(into: storage, order: order, positions: positions)

    var hash = SHA256()
    var verdicts: [SeriesVerdict] = []
    verdicts.reserveCapacity(order.count + 1)
    var statistics = BuiltPanel.Statistics(rows: total, series: keys.count)
    var inspector = SeriesInspector(grid: grid, options: options)
    var kept = KeptSeries()
    for (place, series) in order.enumerated() {
      let rows = UnsafeMutableBufferPointer(
        rebasing: storage[positions[place]..<positions[place + 1]])
      Self.sort(rows)
      update(&hash, series: series, rows: rows)
      if let first = rows.first, let last = rows.last {
        statistics.first = min(statistics.first ?? .max, first.time)
        statistics.last = max(statistics.last ?? .min, last.time)
      }
      var verdict = inspector.inspect(
        rows, key: keys.string(series), badTimes: badTimes[series] ?? 0)
      if verdict.predictable {
        verdict.panelIndex = kept.places.count
        kept.append(place, verdict, inspector)
      }
      verdicts.append(verdict)
    }
    withUnsafeBytes(of: UInt64(nullKeys).littleEndian) { hash.update(bufferPointer: $0) }
    if nullKeys > 0 { verdicts.append(nullKeyVerdict(Set(verdicts.map(\.key)))) }

    let values = fill(kept, storage, positions)
    return BuiltPanel(
      panel: Panel(
        keys: kept.places.map { verdicts[$0].key }, offsets: kept.offsets, values: values,
        firstOrdinals: kept.firstOrdinals, clock: grid.seasonClock),
      trainable: kept.trainable, conventions: kept.conventions, verdicts: verdicts,
      statistics: statistics, digest: Array(hash.finalize()), grid: grid)
  }

  /// What the panel takes over from the series that can be predicted.
  private struct KeptSeries {
    /// Positions in key order.
    var places: [Int] = []
    var offsets = [0]
    var firstOrdinals: [Int] = []
    var trainable: [Bool] = []
    var conventions: [StampConvention] = []

    mutating func append(_ place: Int, _ verdict: SeriesVerdict, _ inspector: SeriesInspector) {
      places.append(place)
      offsets.append(offsets[offsets.count - 1] + inspector.span)
      firstOrdinals.append(inspector.firstOrdinal)
      trainable.append(verdict.trainable)
      conventions.append(inspector.convention)
    }
  }

  /// Where the rows of each series begin, in key order, and the end of all.
  private func starts(_ order: [Int]) -> [Int] {
    var starts: [Int] = []
    starts.reserveCapacity(order.count + 1)
    var next = 0
    for series in order {
      starts.append(next)
      next += rowsOfSeries[series]
    }
    starts.append(next)
    return starts
  }

  /// Moves all rows to their series, freeing the chunks on the way.
  private mutating func scatter(
    into storage: UnsafeMutableBufferPointer<PanelRow>, order: [Int], positions: [Int]
  ) {
    var next = [Int](repeating: 0, count: order.count)
    for (place, series) in order.enumerated() { next[series] = positions[place] }
    var chunks = full
    full = []
    chunks.append(chunk)
    chunk = Chunk()
    for index in chunks.indices {
      let part = chunks[index]
      chunks[index] = Chunk()
      next.withUnsafeMutableBufferPointer { next in
        for row in 0..<part.times.count {
          let series = Int(part.series[row])
          storage.initializeElement(
            at: next[series], to: PanelRow(time: part.times[row], value: part.values[row]))
          next[series] &+= 1
        }
      }
    }
  }

  /// By time, then by the bits of the value; free where the rows came in order.
  private static func sort(_ rows: UnsafeMutableBufferPointer<PanelRow>) {
    var sorted = true
    var index = 1
    while index < rows.count {
      if rows[index - 1].time >= rows[index].time {
        sorted = false
        break
      }
      index += 1
    }
    if sorted { return }
    var rows = rows
    rows.sort {
      $0.time != $1.time
        ? $0.time < $1.time : $0.value.bitPattern < $1.value.bitPattern
    }
  }

  private func update(
    _ hash: inout SHA256, series: Int, rows: UnsafeMutableBufferPointer<PanelRow>
  ) {
    keys.withBytes(series) { key in
      withUnsafeBytes(of: UInt64(key.count).littleEndian) { hash.update(bufferPointer: $0) }
      hash.update(bufferPointer: key)
    }
    let counts = (UInt64(rows.count).littleEndian, UInt64(badTimes[series] ?? 0).littleEndian)
    withUnsafeBytes(of: counts) { hash.update(bufferPointer: $0) }
    hash.update(bufferPointer: UnsafeRawBufferPointer(rows))
  }

  private func nullKeyVerdict(_ taken: Set<String>) -> SeriesVerdict {
    var key = "(null)"
    while taken.contains(key) { key = "(\(key))" }
    return SeriesVerdict(
      key: key, kind: .nullKey, trainable: false, predictable: false,
      detail: "\(nullKeys) rows have no series key, or an empty one, and belong to no series",
      rows: nullKeys,
      observations: 0, gaps: 0, duplicates: 0, nonFinite: 0, nulls: 0)
  }

  /// The columns of the panel from rows whose times are ordinals by now.
  private func fill(
    _ kept: KeptSeries, _ storage: UnsafeMutableBufferPointer<PanelRow>, _ positions: [Int]
  ) -> [Double] {
    let total = kept.offsets[kept.offsets.count - 1]
    return Array(unsafeUninitializedCapacity: total) { values, initialized in
      let missing = options.gaps == .zero ? 0 : Double.nan
      values.initialize(repeating: missing)
      for (index, place) in kept.places.enumerated() {
        let end = kept.offsets[index + 1]
        let start = kept.offsets[index]
        let first = kept.firstOrdinals[index]
        for row in positions[place]..<positions[place + 1] where storage[row].value.isFinite {
          values[start + (Int(storage[row].time) - first)] = storage[row].value
        }
        if options.gaps == .forwardFill {
          for step in kept.offsets[index] + 1..<max(end, kept.offsets[index] + 1)
          where values[step].isNaN {
            values[step] = values[step - 1]
          }
        }
      }
      initialized = total
    }
  }
}
