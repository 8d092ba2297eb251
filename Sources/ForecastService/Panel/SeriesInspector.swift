/// Judges one series after another. Rows come sorted by time; their times become ordinals.
struct SeriesInspector {
  private let grid: CalendarGrid
  private let universal: CalendarGrid
  private let options: PanelOptions
  private var cursor = ZoneTable.Cursor()
  private var universalCursor = ZoneTable.Cursor()

  /// Of the series inspected last, when it is predictable: steps, first ordinal, convention.
  private(set) var span = 0
  private(set) var firstOrdinal = 0
  private(set) var convention: StampConvention

  init(grid: CalendarGrid, options: PanelOptions) {
    self.grid = grid
    universal = grid.universal
    self.options = options
    convention = grid.startConvention
  }

  /// What one pass over the rows counts.
  private struct Tally {
    var observations = 0
    var duplicates = 0
    var conflicts = 0
    var crowded = 0
    /// The first time that has too many rows.
    var example: Int64 = 0
    var nonFinite = 0
    var nulls = 0
    var first = 0
    var last = 0
    var isConstant = true
    var value = 0.0
    var profile = StampProfile()
  }

  mutating func inspect(
    _ rows: UnsafeMutableBufferPointer<PanelRow>, key: String, badTimes: Int
  ) -> SeriesVerdict {
    let isUniversal = StampConvention.ignoresClocks(rows, on: grid, &cursor)
    let tally =
      isUniversal
      ? Self.tally(rows, on: universal, &universalCursor) : Self.tally(rows, on: grid, &cursor)
    let (distance, overflow) = tally.last.subtractingReportingOverflow(tally.first)
    span = tally.observations == 0 ? 0 : overflow || distance == .max ? .max : distance + 1
    firstOrdinal = tally.first
    var found = tally.profile.convention(on: grid)
    if isUniversal, let local = found { found = local.universal }
    convention = found ?? grid.startConvention
    var verdict = SeriesVerdict(
      key: key, kind: .ok, trainable: true, predictable: true, rows: rows.count + badTimes,
      observations: tally.observations, gaps: span - tally.observations,
      duplicates: tally.duplicates, nonFinite: tally.nonFinite, nulls: tally.nulls)
    judge(&verdict, tally, badTimes: badTimes, onGrid: found != nil)
    return verdict
  }

  private static func tally(
    _ rows: UnsafeMutableBufferPointer<PanelRow>, on grid: CalendarGrid,
    _ cursor: inout ZoneTable.Cursor
  ) -> Tally {
    var tally = Tally()
    var previousTime: Int64 = 0
    var previousOrdinal = Int.min
    var previousBits: UInt64 = 0
    for index in 0..<rows.count {
      let row = rows[index]
      let bits = row.value.bitPattern
      let ordinal: Int
      if index > 0, row.time == previousTime {
        ordinal = previousOrdinal
      } else {
        ordinal = tally.profile.add(row.time, on: grid, &cursor)
      }
      rows[index].time = Int64(ordinal)
      if index > 0, ordinal == previousOrdinal {
        tally.duplicates += 1
        if row.time != previousTime {
          if tally.crowded == 0 { tally.example = row.time }
          tally.crowded += 1
        } else if bits != previousBits {
          if tally.conflicts + tally.crowded == 0 { tally.example = row.time }
          tally.conflicts += 1
        }
        previousTime = row.time
        previousBits = bits
        continue
      }
      previousTime = row.time
      previousOrdinal = ordinal
      previousBits = bits
      if row.value.isFinite {
        if tally.observations == 0 {
          tally.first = ordinal
          tally.value = row.value
        } else if row.value != tally.value {
          tally.isConstant = false
        }
        tally.last = ordinal
        tally.observations += 1
      } else if bits == PanelBuilder.null.bitPattern {
        tally.nulls += 1
      } else {
        tally.nonFinite += 1
      }
    }
    return tally
  }

  private func judge(
    _ verdict: inout SeriesVerdict, _ tally: Tally, badTimes: Int, onGrid: Bool
  ) {
    func refuse(_ kind: SeriesVerdict.Kind, _ detail: String) {
      verdict.kind = kind
      verdict.detail = detail
      verdict.trainable = false
      verdict.predictable = false
    }
    let period = grid.frequency.description
    if badTimes > 0 {
      refuse(.badTime, "\(badTimes) rows have no time that the calendar knows")
    } else if tally.crowded > 0 {
      refuse(
        .duplicate,
        "\(tally.duplicates) rows fall into a period of \(period) that has one already, the first at \(grid.text(tally.example)); aggregate them in the query or name the frequency of the data"
      )
    } else if tally.conflicts > 0 {
      refuse(
        .duplicate,
        "\(tally.conflicts) times have more than one value, the first is \(grid.text(tally.example)); the query must return one row for each time"
      )
    } else if tally.observations == 0 {
      refuse(.empty, "no row has a finite value")
    } else if tally.nonFinite > tally.observations {
      refuse(.nonFinite, "\(tally.nonFinite) values are NaN or infinite, more than half")
    } else if span > PanelOptions.largestSpan(observations: tally.observations) {
      refuse(
        .tooSparse,
        "\(tally.observations) observations spread over \(span) steps of \(period); look for a wrong time stamp or choose a longer frequency"
      )
    } else if options.gaps == .error, verdict.gaps > 0 {
      refuse(.gaps, "\(verdict.gaps) steps have no observation and the job says gaps: error")
    } else if tally.observations < options.minimumObservations {
      refuse(
        .tooShort,
        "\(tally.observations) observations, \(options.minimumObservations) are needed for a forecast"
      )
    } else if span < options.minimumTrainingSteps {
      verdict.kind = .tooShort
      verdict.trainable = false
      verdict.detail =
        "\(span) steps, \(options.minimumTrainingSteps) are needed for training; predicted by the model of the others"
    } else if tally.isConstant {
      verdict.kind = .constant
      verdict.trainable = false
      verdict.detail = "all values are the same; predicted, not trained on"
    } else if !onGrid {
      verdict.kind = .offGrid
      verdict.detail =
        "stamps fall at different places within a period of \(period); each counts for the period it falls in"
    } else if tally.duplicates > 0 {
      verdict.detail = "\(tally.duplicates) rows are repeated exactly and count once"
    }
  }
}
