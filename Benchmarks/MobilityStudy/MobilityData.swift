import ForecastService
import Foundation

/// Users per region of Paris, every half hour (Arcolezi et al. 2022), with the features and the split of the paper.
struct MobilityData: Sendable {
  static let regions = 6
  /// Half hours that a window reads.
  static let lags = 6
  /// The regions, sine and cosine of the day and of 30 days.
  static let features = regions + 4
  /// Rows of the last seven days, which are for testing.
  static let testRows = 336
  static let slotsPerDay = 48

  /// Seconds since 1970, of the time as it is written.
  let seconds: [Int]
  /// `[row][region]`.
  let counts: [Double]

  var rows: Int { seconds.count }
  /// Rows to learn from.
  var learningRows: Int { rows - Self.testRows }

  /// - Throws: `LoadError`, `StudyError` where the file is another.
  init(path: String) throws {
    var options = LoadOptions(table: "mobility")
    options.seriesName = "mobility"
    options.time = ["Date", "Hour"]
    options.values = [
      "Commune Montreuil", "IRIS 930480204", "IRIS 930480205", "IRIS 930480206",
      "IRIS 930480401", "IRIS 930480604",
    ]
    var loader = try CSVLoader(path: path, options: options)
    var batch = LoadBatch()
    var seconds: [Int] = []
    var counts: [Double] = []
    // Microseconds since 2000-01-01.
    while try loader.next(into: &batch) {
      seconds += batch.times.map { Int($0 / 1_000_000) + 946_684_800 }
      counts += batch.values
    }
    guard seconds.count == 3456, counts.count == seconds.count * Self.regions,
      counts.allSatisfy(\.isFinite)
    else {
      throw StudyError(
        "\(path): \(seconds.count) rows and \(counts.count) counts, expected 3456 rows of 6")
    }
    (self.seconds, self.counts) = (seconds, counts)
  }

  private init(seconds: [Int], counts: [Double]) {
    (self.seconds, self.counts) = (seconds, counts)
  }

  /// The same rows with other counts.
  func with(counts: [Double]) -> MobilityData {
    precondition(counts.count == self.counts.count)
    return MobilityData(seconds: seconds, counts: counts)
  }

  subscript(row: Int, region: Int) -> Double { counts[row * Self.regions + region] }

  /// Sine and cosine of a row's place in a period.
  func phase(_ row: Int, period: Int) -> (sine: Double, cosine: Double) {
    let turn = 2 * Double.pi * Double(seconds[row] % period) / Double(period)
    return (sin(turn), cos(turn))
  }

  /// What a window reads of a row: raw counts and the two clocks. The second has a period of 30 days, as in the
  /// notebooks of the paper, whose text calls it the time of the week.
  func features(_ row: Int) -> [Float] {
    let day = phase(row, period: 86_400)
    let month = phase(row, period: 30 * 86_400)
    return (0..<Self.regions).map { Float(self[row, $0]) }
      + [day.sine, day.cosine, month.sine, month.cosine].map { Float($0) }
  }

  /// Rows that windows predict: those with six rows before them in the same part, but the test part's windows
  /// reach back into the other. Windows across the missing day are there, as in the paper.
  var learningTargets: Range<Int> { Self.lags..<learningRows }
  var testTargets: Range<Int> { learningRows..<rows }
}

/// Root mean square and mean absolute errors of each region.
struct RegionErrors: Codable, Sendable, Equatable {
  let rmse: [Double]
  let mae: [Double]

  var meanRMSE: Double { rmse.reduce(0, +) / Double(rmse.count) }
  var meanMAE: Double { mae.reduce(0, +) / Double(mae.count) }

  /// - Parameter predictions: `[row][region]` for the rows of `targets`, on the scale of the counts; below 0 they
  ///   count as 0.
  init(_ predictions: [Double], _ data: MobilityData, rows targets: Range<Int>) {
    let regions = MobilityData.regions
    precondition(predictions.count == targets.count * regions)
    var squares = [Double](repeating: 0, count: regions)
    var absolutes = squares
    for (index, row) in targets.enumerated() {
      for region in 0..<regions {
        let error = max(0, predictions[index * regions + region]) - data[row, region]
        squares[region] += error * error
        absolutes[region] += abs(error)
      }
    }
    let count = Double(targets.count)
    rmse = squares.map { ($0 / count).squareRoot() }
    mae = absolutes.map { $0 / count }
  }

  /// Of the last value.
  static func persistence(_ data: MobilityData, rows targets: Range<Int>) -> RegionErrors {
    let last = targets.flatMap { row in
      (0..<MobilityData.regions).map { data[row - 1, $0] }
    }
    return RegionErrors(last, data, rows: targets)
  }
}

/// What ends the study: one sentence.
struct StudyError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
