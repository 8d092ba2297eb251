/// Which columns of the file are what. Made from the header and the options.
struct LoadPlan: Equatable {
  var series: [Int]
  var constantSeries: [UInt8]?
  var time: [Int]
  var values: [Int]
  var header: [String]
  var isWide: Bool
  /// Columns of the target that hold values, one for each of `values` in long form.
  var valueNames: [String]

  /// Header names that are taken without being named, first match wins.
  private static let usualSeries = ["series", "unique_id", "series_id", "item_id"]
  private static let usualTime = ["ts", "ds", "timestamp", "datetime", "date", "time"]
  private static let usualValue = ["value", "y", "target"]

  init(header: [String], options: LoadOptions, file: String) throws {
    self.header = header
    isWide = options.wide
    func fail(_ message: String, column: String? = nil) -> LoadError {
      LoadError(.columns, file: file, line: 1, column: column, message)
    }
    var seen: Set<String> = []
    for name in header where !seen.insert(name).inserted {
      throw fail("the header has this column twice; rename one of them", column: name)
    }
    func index(_ name: String, _ option: String) throws -> Int {
      if let found = header.firstIndex(of: name) { return found }
      var message = "\(option) '\(name)' is not a column of the file"
      let near = NearestName.find(name, among: header)
      message += near.map { "; did you mean '\($0)'?" } ?? "."
      throw fail(message + " The file has: \(Self.list(header))")
    }
    func usual(_ names: [String]) -> Int? {
      for name in names {
        if let found = header.firstIndex(where: { $0.lowercased() == name }) { return found }
      }
      return nil
    }

    if !options.time.isEmpty {
      time = try options.time.map { try index($0, "--time") }
    } else if let found = usual(Self.usualTime) {
      time = [found]
    } else {
      throw fail("which column holds the time? Say --time NAME. The file has: \(Self.list(header))")
    }

    series = try options.series.map { try index($0, "--series") }
    if let name = options.seriesName {
      guard series.isEmpty else {
        throw LoadError(
          .options, file: file, "--series and --series-name exclude each other; give one of them")
      }
      constantSeries = Array(name.utf8)
    } else if series.isEmpty, !options.wide {
      guard let found = usual(Self.usualSeries), !time.contains(found) else {
        throw fail(
          "which column names the series? Say --series NAME, or --series-name TEXT for a file of"
            + " one series, or --wide where each column is a series. The file has: \(Self.list(header))"
        )
      }
      series = [found]
    }

    let taken = Set(series + time)
    if !options.values.isEmpty {
      values = try options.values.map { try index($0, "--value") }
      if let twice = values.first(where: taken.contains) {
        throw LoadError(
          .options, file: file,
          "column '\(header[twice])' is named as a value and as series or time; it can be one")
      }
    } else if options.wide {
      values = header.indices.filter { !taken.contains($0) }
    } else {
      let rest = header.indices.filter { !taken.contains($0) }
      if rest.count == 1 {
        values = rest
      } else if let found = usual(Self.usualValue), !taken.contains(found) {
        values = [found]
      } else {
        throw fail(
          "which column holds the value? Say --value NAME. The file has: \(Self.list(header))")
      }
    }
    guard !values.isEmpty else {
      throw fail("no column is left for values. The file has: \(Self.list(header))")
    }
    guard Set(values).count == values.count, Set(series).count == series.count,
      Set(time).count == time.count
    else { throw LoadError(.options, file: file, "a column is named twice; name each once") }
    if isWide, let nameless = values.first(where: { header[$0].isEmpty }) {
      throw fail("column \(nameless + 1) has no name to call its series by")
    }
    valueNames =
      isWide || values.count == 1 ? [options.valueColumn] : values.map { header[$0].lowercased() }
    let target = [options.seriesColumn, options.timeColumn] + valueNames
    guard Set(target).count == target.count, !target.contains("") else {
      throw LoadError(
        .options, file: file, "the table would have a column twice: \(Self.list(target))")
    }
  }

  var valueCount: Int { valueNames.count }

  private static func list(_ names: [String]) -> String {
    let shown = names.prefix(20).joined(separator: ", ")
    return names.count > 20 ? shown + " and \(names.count - 20) more" : shown
  }
}
