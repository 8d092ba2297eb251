import ArgumentParser
import ForecastService
import Foundation
import Terminal

struct LoadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load", abstract: "Load a CSV file into a table: all of it, or nothing.",
    discussion: """
      Plain or gzip. Long form has one row per series and time; with --wide every value column is a \
      series. The table (series, ts, value) is created when it does not exist. Errors name the line.
      """)
  @Argument(
    help: "The file; - reads standard input.", completion: .file(extensions: ["csv", "gz"]))
  var file: String
  @Option(help: "Target, with or without a schema.") var table: String
  @Option(help: "Column that names the series; several are joined with a slash.")
  var series: [String] = []
  @Option(help: "Name of the one series of a file that has no such column.") var seriesName: String?
  @Option(help: "Time column; a date and a time column may be given one after the other.")
  var time: [String] = []
  @Option(help: "Value column; several with --wide. Default there: every other column.")
  var value: [String] = []
  @Flag(help: "Every value column is a series of its own.") var wide = false
  @Option(help: "IANA time zone of stamps without an offset.") var timezone = "UTC"
  @Option(help: "Type of the time column: date, timestamptz or bigint. Default: found out.")
  var timeType: LoadTimeType?
  @Option(help: "Delimiter. Default: found out from the header.") var delimiter: String?
  @Flag(help: "Read 12,5 as a number (the delimiter is then no comma).") var decimalComma = false
  @Option(help: "A text that means no value, besides the empty field, NA, NaN and null.")
  var null: [String] = []
  @Option(help: "Name of the series column in the table.") var seriesColumn = "series"
  @Option(help: "Name of the time column in the table.") var timeColumn = "ts"
  @Option(help: "Name of the value column in the table.") var valueColumn = "value"
  @Flag(help: "Empty the table first.") var replace = false
  @Flag(help: "Overwrite rows that are there already.") var update = false
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if replace && update { throw ValidationError("--replace and --update exclude each other") }
    if let delimiter, delimiter.count != 1 {
      throw ValidationError("--delimiter '\(delimiter)': expected one character")
    }
    if TimeZone(identifier: timezone) == nil {
      throw ValidationError("--timezone '\(timezone)': expected an IANA name such as Europe/Paris")
    }
  }

  func run() async throws {
    var options = LoadOptions(table: table)
    options.mode = replace ? .replace : update ? .update : .append
    options.series = series
    options.seriesName = seriesName
    options.time = time
    options.values = value
    options.wide = wide
    options.timeZone = TimeZone(identifier: timezone) ?? .gmt
    options.timeType = timeType
    options.delimiter = delimiter?.first
    options.decimalComma = decimalComma
    options.missing = Set(null)
    options.seriesColumn = seriesColumn
    options.timeColumn = timeColumn
    options.valueColumn = valueColumn
    let (file, console) = (file, Console.current)
    try await database.withSession(schema: .any) { [options] session in
      let began = Date()
      let bar = console.progressBar()
      bar.stage("load \(file)", unit: .bytes)
      let loader = try CSVLoader(path: file, options: options)
      let summary = try await loader.load(into: session.pool) { progress in
        bar.update(
          progress.bytesRead, total: progress.totalBytes,
          detail: "\(HumanFormat.grouped(progress.rows)) rows")
      }
      bar.finish()
      var table = Table([
        Column("table", priority: .essential), Column("rows"), Column("missing"),
        Column("time_type", title: "time"), Column("created", priority: .low),
        Column("seconds", title: "took"),
      ])
      table.append([
        .text(summary.table), .integer(summary.rows), .integer(summary.missing),
        .text(summary.timeType.rawValue), .boolean(summary.createdTable),
        .duration(Date().timeIntervalSince(began)),
      ])
      console.show(table, as: output.output)
    }
  }
}

extension LoadTimeType: ExpressibleByArgument {}
