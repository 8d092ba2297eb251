import ForecastService
import Foundation
import Testing

@Suite("Reading CSV")
struct CSVReaderTests {
  @Test(
    "quotes, line ends and marks are read as RFC 4180 says",
    arguments: [
      ("a plain file", "series,ts,y\na,1,2\nb,2,3\n", [Row("a", 1, 2), Row("b", 2, 3)]),
      ("no newline at the end", "series,ts,y\na,1,2", [Row("a", 1, 2)]),
      ("CRLF", "series,ts,y\r\na,1,2\r\nb,2,3\r\n", [Row("a", 1, 2), Row("b", 2, 3)]),
      ("CR alone", "series,ts,y\ra,1,2\rb,2,3", [Row("a", 1, 2), Row("b", 2, 3)]),
      ("a byte order mark", "\u{FEFF}series,ts,y\na,1,2\n", [Row("a", 1, 2)]),
      ("a quoted header", "\"series\",\"ts\",\"y\"\na,1,2\n", [Row("a", 1, 2)]),
      ("a delimiter in quotes", "series,ts,y\n\"a,b\",1,2\n", [Row("a,b", 1, 2)]),
      ("doubled quotes", "series,ts,y\n\"a \"\"b\"\" c\",1,2\n", [Row("a \"b\" c", 1, 2)]),
      ("only doubled quotes", "series,ts,y\n\"\"\"\"\"\",1,2\n", [Row("\"\"", 1, 2)]),
      ("a line break in quotes", "series,ts,y\n\"a\nb\",1,2\n", [Row("a\nb", 1, 2)]),
      ("a CRLF in quotes", "series,ts,y\n\"a\r\nb\",1,2\r\n", [Row("a\r\nb", 1, 2)]),
      ("a quote inside a field", "series,ts,y\n5\" pipe,1,2\n", [Row("5\" pipe", 1, 2)]),
      ("quoted numbers", "series,ts,y\na,\"1\",\"2.5\"\n", [Row("a", 1, 2.5)]),
      ("empty lines", "series,ts,y\n\na,1,2\n\n\n", [Row("a", 1, 2)]),
      ("blanks around numbers", "series,ts,y\na, 1 , 2 \n", [Row("a", 1, 2)]),
      ("text beyond ASCII", "series,ts,y\nzürich 東京,1,2\n", [Row("zürich 東京", 1, 2)]),
      ("semicolons", "series;ts;y\na;1;2\n", [Row("a", 1, 2)]),
      ("tabs", "series\tts\ty\na\t1\t2\n", [Row("a", 1, 2)]),
      ("bars", "series|ts|y\na|1|2\n", [Row("a", 1, 2)]),
      ("a header alone", "series,ts,y\n", []),
    ])
  func forms(_ name: String, _ text: String, _ expected: [Row]) throws {
    #expect(try rows(text) == expected, "\(name)")
  }

  @Test("records that cross the reader's buffer are read whole")
  func bufferEdges() throws {
    var text = "series,ts,y\r\n"
    var expected: [Row] = []
    for index in 0..<60_000 {
      let name = index % 7 == 0 ? "s\"\(index)\r\n," : "series \(index)"
      text += "\"\(name.replacing("\"", with: "\"\""))\",\(index),\(index).25\r\n"
      expected.append(Row(name, Int64(index), Double(index) + 0.25))
    }
    #expect(text.utf8.count > 4 * 262_144)
    let read = try rows(text, limit: 1000)
    #expect(read.count == expected.count)
    #expect(read == expected)
  }

  @Test("one field larger than the buffer is read")
  func largeField() throws {
    let name = String(repeating: "x", count: 700_000)
    #expect(try rows("series,ts,y\n\(name),1,2\n") == [Row(name, 1, 2)])
  }

  @Test(
    "broken files are refused with line and reason",
    arguments: [
      ("series,ts,y\na,1,2\nb,1\n", "file.csv:3: 2 fields where the header has 3"),
      ("series,ts,y\n\"a\nb\",1,2\nc,1,2,3\n", "file.csv:4: 4 fields where the header has 3"),
      ("series,ts,y\n\"a\"b,1,2\n", "file.csv:2: there is text after a closing quote"),
      ("series,ts,y\na,1,2\n\"b,1,2\nc,1,2\n", "file.csv:3: the quote that opens here is never"),
      ("", "file.csv: is empty"),
      ("series,ts,y,y\n", "file.csv:1: column 'y': the header has this column twice"),
    ])
  func broken(_ text: String, _ message: String) {
    let complaint = complaint(text)
    #expect(complaint?.hasPrefix(message) == true, "\(complaint ?? "nothing")")
  }

  @Test("an endless record is stopped before it fills the memory")
  func endless() {
    let text = "series,ts,y\na,1,2\n\"" + String(repeating: "b,1,2\n", count: 1_000_000)
    #expect(
      complaint(text)
        == "file.csv:3: the record that begins here is longer than 4 MiB; is a quote left open?")
  }

  @Test("text that is not UTF-8 is refused where it would be stored")
  func encoding() {
    let latin = Array("series,ts,y\nz".utf8) + [0xFC] + Array("rich,1,2\n".utf8)
    #expect(
      complaint(bytes: latin)
        == "file.csv:2: column 'series': is not UTF-8; convert the file: iconv -f LATIN1 -t UTF-8")
    #expect(
      complaint(bytes: [0xFF, 0xFE, 0x61, 0x00, 0x62, 0x00])?.contains("is UTF-16") == true)
    #expect(complaint("series,ts,y\na\0b,1,2\n")?.contains("NUL") == true)
  }

  @Test("gzip is recognised by its content, one member or several")
  func gzip() throws {
    let text = "series,ts,y\n" + (0..<9000).map { "a,\($0),\($0)\n" }.joined()
    let bytes = Array(text.utf8)
    let expected = try rows(text)
    #expect(expected.count == 9000)
    #expect(try rows(bytes: gzipMember(bytes)) == expected)
    let half = bytes.count / 2
    let members = gzipMember(Array(bytes[..<half])) + gzipMember(Array(bytes[half...]))
    #expect(try rows(bytes: members) == expected)
    #expect(try rows(bytes: members + [0, 0, 0, 0]) == expected)
  }

  @Test("deflated gzip is inflated")
  func deflated() throws {
    // printf 'unique_id,ds,y\nA,1,112\nA,2,118\n' | gzip -9n | base64
    let packed = try #require(
      Data(
        base64Encoded:
          "H4sIAAAAAAACAyvNyywsTY3PTNFJKdap5HLUMdQxNDQC0kZA2oILAG7QOdQfAAAA"))
    #expect(try rows(bytes: Array(packed)) == [Row("A", 1, 112), Row("A", 2, 118)])
  }

  @Test("a truncated gzip file is an error, wherever it ends")
  func truncated() {
    let whole = gzipMember(Array(("series,ts,y\n" + String(repeating: "a,1,2\n", count: 20)).utf8))
    for length in [11, 20, whole.count / 2, whole.count - 8, whole.count - 1] {
      #expect(
        complaint(bytes: Array(whole[..<length]))
          == "file.csv: the gzip data ends too early: the file is truncated; fetch it again",
        "\(length) of \(whole.count) bytes")
    }
    var damaged = whole
    damaged[whole.count - 6] ^= 1
    #expect(complaint(bytes: damaged)?.contains("the gzip data is damaged") == true)
  }

  @Test("a file that is not there says so")
  func absent() {
    let error = #expect(throws: LoadError.self) {
      try CSVLoader(path: "/nowhere/a.csv", options: options())
    }
    #expect(error?.code == .unreadable)
    #expect(error?.description == "/nowhere/a.csv: cannot be opened: No such file or directory")
    #expect(throws: LoadError.self) { try CSVLoader(path: "/", options: options()) }
  }
}
