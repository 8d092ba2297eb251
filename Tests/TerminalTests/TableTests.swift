import Foundation
import Terminal
import Testing

/// The columns a printed line takes, colour sequences apart.
func columns(_ line: some StringProtocol) -> Int {
  String(line).replacing(/\u{1B}\[[0-9;]*[mK]/, with: "").displayWidth
}

func widest(_ text: String) -> Int {
  text.split(separator: "\n").map { columns($0) }.max() ?? 0
}

@Suite("Tables")
struct TableTests {
  @Test("output looks as it was designed", arguments: goldenTexts().map(\.name))
  func golden(_ name: String) throws {
    let made = try #require(goldenTexts().first { $0.name == name }).text
    #expect(made.replacing("\u{1B}", with: "␛") == goldens[name])
  }

  @Test("no line is wider than the terminal", arguments: [true, false])
  func width(_ unicode: Bool) {
    for width in 1...160 {
      for color in [true, false] {
        let text = statusTable().render(
          .table, environment: terminal(width, color: color, unicode: unicode), now: now)
        #expect(widest(text) <= width)
        #expect(text.split(separator: "\n").count >= 5)
      }
    }
  }

  @Test("a number that does not fit is never shown in part")
  func cutNumber() {
    var table = Table([Column("n", priority: .essential)])
    table.append([1_234_567])
    let text = table.render(.table, environment: terminal(4), now: now)
    #expect(text == "n\n────\n   …\n".replacing("n\n", with: "   n\n"))
  }

  @Test("a column that wants more room gets it before others are shown")
  func comfortable() {
    func render(_ comfortableWidth: Int?) -> String {
      var table = Table([
        Column("kind", priority: .essential), Column("time"),
        Column("help", priority: .essential, comfortableWidth: comfortableWidth),
      ])
      let words = String(repeating: "word ", count: 12)
      table.append([.text("lstm"), .text("quadratic in width"), .text(words)])
      return table.render(.table, environment: terminal(60), now: now)
    }
    #expect(render(nil).contains("quadratic in width"))
    #expect(!render(50).contains("quadratic in width"))
    #expect(render(50).split(separator: "\n").contains { $0.hasPrefix("lstm") && $0.count > 50 })
  }

  @Test("without a terminal nothing is cut")
  func pipe() {
    var environment = terminal(20)
    environment.fitsWidth = false
    let text = statusTable().render(.table, environment: environment, now: now)
    #expect(text.contains("ε spent"))
    #expect(text.contains("then retry"))
  }

  @Test("text from the database cannot move the cursor or break a row")
  func sanitised() {
    var table = Table([Column("text")])
    table.append(["a\u{1B}[2Jb\r\nc\td\u{202E}e"])
    let text = table.render(.table, environment: terminal(80), now: now)
    #expect(text.split(separator: "\n").last == "a?[2Jb c d?e")
  }

  @Test("an empty result says so to people and stays empty for programs")
  func empty() {
    let table = Table([Column("job")], emptyMessage: "no jobs registered")
    func render(_ format: OutputFormat) -> String {
      table.render(format, environment: terminal(80), now: now)
    }
    #expect(render(.table) == "no jobs registered\n")
    #expect(render(.json) == "[]\n")
    #expect(render(.jsonl) == "")
    #expect(render(.csv) == "job\n")
  }

  @Test("JSON and JSON lines parse back to the values")
  func json() throws {
    let text = statusTable().render(.json, environment: terminal(10), now: now)
    let parsed = try #require(
      try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
    #expect(parsed.count == 3)
    #expect(parsed[0]["series"] as? Int == 12345)
    #expect(parsed[0]["mase"] as? Double == 0.8123)
    #expect(parsed[0]["last_run_at"] as? String == "2026-11-21T03:58:20Z")
    #expect(parsed[1]["mase"] is NSNull)
    #expect(
      parsed[2]["message"] as? String
        == "no rows at cutoff 2026-11-20; check the \"WHERE\" clause,\nthen retry")
    let lines = statusTable().render(.jsonl, environment: terminal(10), now: now)
      .split(separator: "\n")
    #expect(lines.count == 3)
    for (line, object) in zip(lines, parsed) {
      let one = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? NSDictionary
      #expect(one == object as NSDictionary)
    }
  }

  @Test("every kind of text and number survives JSON")
  func jsonValues() throws {
    let texts = ["", "\"\\/\u{08}\u{0C}\n\r\t\u{01}\u{7F}", "\u{2028}é日🙂", "a,b"]
    let numbers = [0.1, -1e-300, 1.7e308, 1e15, 123456789.0, -0.0]
    var table = Table([Column("t"), Column("n"), Column("i"), Column("b")])
    for text in texts {
      for number in numbers {
        table.append([.text(text), .real(number), .integer(Int64.min), .boolean(true)])
      }
    }
    table.append([nil, .real(.nan), .real(.infinity), nil])
    let text = table.render(.json, environment: terminal(80), now: now)
    let parsed = try #require(
      try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
    for (index, row) in parsed.dropLast().enumerated() {
      #expect(row["t"] as? String == texts[index / numbers.count])
      #expect(row["n"] as? Double == numbers[index % numbers.count])
      #expect(row["i"] as? Int64 == .min)
      #expect(row["b"] as? Bool == true)
    }
    #expect(parsed.last?.values.allSatisfy { $0 is NSNull } == true)
  }

  @Test("CSV parses back to the values")
  func csv() {
    let texts = ["plain", "a,b", "say \"hi\"", "two\nlines", "", " padded ", "日本"]
    var table = Table([Column("text"), Column("number")])
    for text in texts { table.append([.text(text), .real(1.5)]) }
    table.append([nil, nil])
    let text = table.render(.csv, environment: terminal(80), now: now)
    // Split by the rule itself: a quote toggles, a doubled one is a quote.
    var records: [[String]] = [[""]]
    var inside = false
    for character in text.dropLast() {
      switch character {
      case "\"":
        inside.toggle()
        records[records.count - 1][records.last!.count - 1].append("\"")
      case "," where !inside: records[records.count - 1].append("")
      case "\n" where !inside: records.append([""])
      default: records[records.count - 1][records.last!.count - 1].append(character)
      }
    }
    let values = records.map { record in
      record.map { field in
        field.hasPrefix("\"")
          ? String(field.dropFirst().dropLast()).replacing("\"\"", with: "\"") : field
      }
    }
    #expect(values == [["text", "number"]] + texts.map { [$0, "1.5"] } + [["", ""]])
    #expect(text.hasSuffix("\n,\n"))
  }
}
