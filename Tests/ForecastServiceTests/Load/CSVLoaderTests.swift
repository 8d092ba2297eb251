import ForecastService
import Foundation
import Testing

@Suite("Rows from CSV")
struct CSVLoaderTests {
  @Test("the usual column names are found without options")
  func usualNames() throws {
    #expect(try rows("unique_id,ds,y\na,1,2\n") == [Row("a", 1, 2)])
    #expect(try rows("Date,Series,Value\n2000-01-02,a,2\n") == [Row("a", 1, 2)])
    #expect(try rows("series,ts,units\na,1,2\n") == [Row("a", 1, 2)])
  }

  @Test("several series columns are joined, one series can be named for all rows")
  func series() throws {
    let text = "store,sku,ts,y\n1,x,5,2\n"
    #expect(
      try rows(text) {
        $0.series = ["store", "sku"]
        $0.values = ["y"]
      } == [Row("1/x", 5, 2)])
    #expect(try rows("ts,y\n5,2\n") { $0.seriesName = "only" } == [Row("only", 5, 2)])
  }

  @Test("several value columns stay side by side")
  func values() throws {
    #expect(
      try rows("series,ts,open,Close\na,1,2,3\na,2,,5\n") { $0.values = ["Close", "open"] }
        == [Row("a", 1, 3, 2), Row("a", 2, 5, nil)])
  }

  @Test("a wide file gives a series per column, with date and time of day joined")
  func wide() throws {
    let text = "Date,Hour,R1,R2\n2000-01-01,00:00:00,10,20\n2000-01-01,00:30:00,11,\n"
    let half: Int64 = 1_800_000_000
    #expect(
      try rows(text) {
        $0.wide = true
        $0.time = ["Date", "Hour"]
      } == [Row("R1", 0, 10), Row("R2", 0, 20), Row("R1", half, 11), Row("R2", half, nil)])
    #expect(
      try rows(text) {
        $0.wide = true
        $0.time = ["Date", "Hour"]
        $0.values = ["R2"]
        $0.seriesName = "paris"
      } == [Row("paris/R2", 0, 20), Row("paris/R2", half, nil)])
    #expect(
      try rows("store,ts,a,b\ns,1,2,3\n") {
        $0.wide = true
        $0.series = ["store"]
      } == [Row("s/a", 1, 2), Row("s/b", 1, 3)])
  }

  @Test(
    "times are read exactly",
    arguments: [
      ("1999-12-31", nil, "GMT", -1), ("2000-02-29", nil, "GMT", 59),
      ("1811-01-01", nil, "GMT", -69_031),
      ("2000/01/02", nil, "GMT", 1), ("2000-02", nil, "GMT", 31), ("2000Q2", nil, "GMT", 91),
      ("2000-q3", nil, "GMT", 182), ("7", nil, "GMT", 7), ("-3", nil, "GMT", -3),
      ("9223372036854775807", nil, "GMT", Int64.max),
      ("2000-01-01 00:00:01", nil, "GMT", 1_000_000),
      ("2000-01-01T00:00:00.5", nil, "GMT", 500_000),
      ("2000-01-01 00:00:00.1234567", nil, "GMT", 123_456),
      ("2000-01-01T01:00:00Z", nil, "Europe/Paris", 3_600_000_000),
      ("2000-01-01 01:00+01", nil, "GMT", 0), ("2000-01-01 01:30:00+0130", nil, "GMT", 0),
      ("2000-01-01 00:00:00-05:00", nil, "GMT", 18_000_000_000),
      ("2000-01-01 24:00", nil, "GMT", 86_400_000_000),
      ("2000-01-01 7", nil, "GMT", 25_200_000_000),
      ("2000-01-01 00:00", nil, "Europe/Paris", -3_600_000_000),
      ("2000-01-02", LoadTimeType.timestamptz, "America/New_York", 104_400_000_000),
    ] as [(String, LoadTimeType?, String, Int64)])
  func times(_ text: String, _ type: LoadTimeType?, _ zone: String, _ expected: Int64) throws {
    let read = try rows("series,ts,y\na,\(text),1\n") {
      $0.timeType = type
      $0.timeZone = TimeZone(identifier: zone)!
    }
    #expect(read.map(\.time) == [expected])
  }

  @Test("wall-clock times agree with the calendar on every hour of two years")
  func wallClock() throws {
    let zone = try #require(TimeZone(identifier: "Europe/Paris"))
    // 2019 and 2020 in local hours; the skipped hours of spring are tested apart.
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = zone
    var text = "series,ts,y\n"
    var expected: [Int64] = []
    let start = try #require(
      calendar.date(from: DateComponents(year: 2019, month: 1, day: 1)))
    for hour in 0..<17_520 {
      let instant = start.addingTimeInterval(Double(hour) * 3600)
      let parts = calendar.dateComponents([.year, .month, .day, .hour], from: instant)
      // The second occurrence of 02:00 in autumn is not expressible without a zone.
      if calendar.component(.hour, from: instant.addingTimeInterval(-3600)) == parts.hour {
        continue
      }
      text += String(
        format: "a,%04d-%02d-%02d %02d:00,1\n", parts.year!, parts.month!, parts.day!, parts.hour!)
      expected.append(Int64(instant.timeIntervalSince1970 - 946_684_800) * 1_000_000)
    }
    let read = try rows(text) { $0.timeZone = zone }
    #expect(read.map(\.time) == expected)
  }

  @Test("a skipped hour moves on, a repeated hour is its first occurrence")
  func changes() throws {
    let read = try rows(
      "series,ts,y\na,2020-03-29 02:30,1\na,2020-03-29T01:30:00Z,1\n"
        + "a,2020-10-25 02:30,1\na,2020-10-25T00:30:00Z,1\n"
    ) { $0.timeZone = TimeZone(identifier: "Europe/Paris")! }
    #expect(read[0].time == read[1].time)
    #expect(read[2].time == read[3].time)
  }

  @Test("the kind of time is found out from the first rows")
  func detection() throws {
    func type(_ times: [String]) throws -> LoadTimeType {
      let text = "series,ts,y\n" + times.map { "a,\($0),1\n" }.joined()
      return try CSVLoader(bytes: Array(text.utf8), name: "f", options: options()).timeType
    }
    #expect(try type(["1", "2"]) == .bigint)
    #expect(try type(["2020-01-01", "2020-01-02"]) == .date)
    #expect(try type(["2020-01-01", "2020-01-02 10:00"]) == .timestamptz)
    #expect(try type([]) == .timestamptz)
  }

  @Test(
    "times that are none are refused",
    arguments: [
      "2020-02-30", "2021-02-29", "2020-13-01", "20-01-01", "2020-01-01 25:00", "2020-01-01 10:60",
      "2020-01-01 10:00:00+", "2020-01-01x", "01/02/2020", "today", "", "2020-01-01 10:00:00.",
      "2020Q5", "99999999999999999999",
    ])
  func noTimes(_ text: String) {
    let complaint = complaint("series,ts,y\na,2020-01-01 00:00,1\na,\(text),1\n")
    #expect(complaint?.hasPrefix("file.csv:3: column 'ts': ") == true, "\(complaint ?? "accepted")")
  }

  @Test("numbers are read as the standard library reads them, to the last bit")
  func numbers() throws {
    var texts = [
      "0", "-0", "1", "+1", "12.5", ".5", "5.", "1e5", "1E-5", "-1.25e+3", "123456789012345678",
      "9007199254740993", "0.1", "5.827000141143799", "1e22", "1e23", "1e-22", "4.9e-324",
      "1.7976931348623157e308", "2.2250738585072011e-308", "0.000000000000000000000000001",
      "1234567890123456789012345678901234567890", "3.14159265358979323846264338327950288",
      "00012", "1e-400", "8.41e21", "9007199254740992e22",
    ]
    var state: UInt64 = 88_172_645_463_325_252
    for _ in 0..<4000 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      let double = Double(bitPattern: state)
      if double.isFinite { texts.append("\(double)") }
      texts.append("\(Double(Int64(truncatingIfNeeded: state) >> 20) / 1000)")
    }
    let text =
      "series,ts,y\n" + texts.enumerated().map { "a,\($0.offset),\($0.element)\n" }.joined()
    let read = try rows(text)
    #expect(read.count == texts.count)
    for (row, text) in zip(read, texts) {
      let expected = try #require(Double(text.hasPrefix(".") ? "0" + text : text))
      #expect(row.values[0]?.bitPattern == expected.bitPattern, "\(text)")
    }
  }

  @Test(
    "missing values become NULL",
    arguments: ["", "NA", "na", "N/A", "NaN", "nan", "NULL", "null", "None", "#N/A", "\\N", " "])
  func missing(_ text: String) throws {
    #expect(try rows("series,ts,y\na,1,\(text)\n") == [Row("a", 1, nil)])
  }

  @Test("further texts for missing values can be named")
  func moreMissing() throws {
    let text = "series,ts,y\na,1,-999\na,2,inf\na,3,?\na,4,1\n"
    #expect(
      try rows(text) { $0.missing = ["-999", "inf", "?"] }.map(\.values)
        == [[nil], [nil], [nil], [1]])
  }

  @Test(
    "what is no number is refused with the line, the column and a way out",
    arguments: [
      ("12,5", "'12,5' is not a number; write 12.5, or use --decimal-comma"),
      ("abc", "'abc' is not a number; correct it, leave it empty"),
      ("1.2.3", "'1.2.3' is not a number"), ("1e", "'1e' is not a number"),
      ("0x10", "'0x10' is not a number"), ("-", "'-' is not a number"),
      ("inf", "'inf' is not finite; leave it empty, or --null 'inf'"),
      ("-Infinity", "'-Infinity' is not finite"), ("1e999", "'1e999' is too large for double"),
      ("1 000", "'1 000' is not a number"),
    ])
  func noNumbers(_ text: String, _ message: String) {
    let complaint = complaint("series,ts,y\na,1,1\na,2,\"\(text)\"\n")
    #expect(
      complaint?.hasPrefix("file.csv:3: column 'y': " + message) == true,
      "\(complaint ?? "accepted")")
  }

  @Test("a decimal comma is read on request")
  func decimalComma() throws {
    #expect(
      try rows("series;ts;y\na;1;12,5\n") { $0.decimalComma = true } == [Row("a", 1, 12.5)])
  }

  @Test("the error of line 70 000 names line 70 000")
  func lateError() {
    var text = "unique_id,ds,y\n"
    for line in 2...80_000 { text += line == 70_000 ? "a,\(line),12;5\n" : "a,\(line),12.5\n" }
    #expect(
      complaint(text)?.hasPrefix("file.csv:70000: column 'y': '12;5' is not a number; ") == true)
  }

  @Test(
    "a missing column lists the columns there are, and the nearest",
    arguments: [
      (
        "stroe",
        "file.csv:1: --series 'stroe' is not a column of the file; did you mean 'store'?"
          + " The file has: store, day, units"
      ),
      (
        "Store",
        "file.csv:1: --series 'Store' is not a column of the file; did you mean 'store'?"
          + " The file has: store, day, units"
      ),
      (
        "customer",
        "file.csv:1: --series 'customer' is not a column of the file"
          + " The file has: store, day, units"
      ),
    ])
  func missingColumn(_ name: String, _ message: String) {
    let complaint = complaint("store,day,units\na,1,1\n") {
      $0.series = [name]
      $0.time = ["day"]
    }
    #expect(complaint == message.replacing("file The", with: "file. The"))
  }

  @Test("what cannot be guessed is asked for")
  func ambiguous() {
    #expect(complaint("a,b,c\n")?.hasPrefix("file.csv:1: which column holds the time?") == true)
    #expect(
      complaint("a,ts,c\n")?.hasPrefix("file.csv:1: which column names the series?") == true)
    #expect(
      complaint("series,ts,c,d\n")?.hasPrefix("file.csv:1: which column holds the value?") == true)
    #expect(
      complaint("series,ts,y\n,1,1\n")
        == "file.csv:2: column 'series': is empty, but it names the series")
  }
}
