import Foundation
import Postgres
import TestSupport
import Testing

@Suite("Values", .tags(.database), .requiresDatabase)
struct TypesTests {
  /// Sends a value, has the server compare it with its own reading of `literal`, and reads it back.
  private func roundTrip<T: PostgresEncodable & PostgresDecodable & Equatable & Sendable>(
    _ value: T, is literal: String
  ) async throws {
    try await withServer { connection in
      let row = try #require(
        await connection.query(
          "SELECT $1 AS v, $1 IS NOT DISTINCT FROM \(literal) AS same", [value]
        ).first)
      #expect(try row.decode("v", as: T.self) == value)
      #expect(try row.decode("same", as: Bool.self), "\(value) is not \(literal)")
    }
  }

  @Test("booleans and integers round trip, at their limits too")
  func integers() async throws {
    try await roundTrip(true, is: "true")
    try await roundTrip(false, is: "false")
    try await roundTrip(Int16.min, is: "'-32768'::int2")
    try await roundTrip(Int32.max, is: "2147483647")
    try await roundTrip(Int64.min, is: "'-9223372036854775808'::int8")
    try await roundTrip(42, is: "42::int8")
  }

  @Test("floating point keeps infinities, negative zero and NaN")
  func floats() async throws {
    try await roundTrip(1.0 / 3, is: "'0.3333333333333333'::float8")
    try await roundTrip(Double.infinity, is: "'Infinity'::float8")
    try await roundTrip(-Float.infinity, is: "'-Infinity'::float4")
    try await roundTrip(Double.leastNonzeroMagnitude, is: "'5e-324'::float8")
    try await withServer { connection in
      let row = try #require(
        await connection.query("SELECT $1 AS a, $2 AS b", [Double.nan, -0.0]).first)
      #expect(try row.decode("a", as: Double.self).isNaN)
      #expect(try row.decode("b", as: Double.self).sign == .minus)
    }
  }

  @Test("text, bytes, uuid and JSON round trip")
  func text() async throws {
    try await roundTrip("", is: "''")
    try await roundTrip("Zürich 'quoted' \\ 🌦", is: "'Zürich ''quoted'' \\ 🌦'")
    try await roundTrip([UInt8](), is: "''::bytea")
    try await roundTrip([0, 255, 1] as [UInt8], is: "'\\x00ff01'::bytea")
    let id = try #require(UUID(uuidString: "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"))
    try await roundTrip(id, is: "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid")
    try await roundTrip(PostgresJSON(#"{"a": [1, null]}"#), is: #"'{"a":[1,null]}'::jsonb"#)
  }

  @Test("instants and days round trip, infinite ones too")
  func time() async throws {
    try await roundTrip(PostgresTimestamp(microseconds: 0), is: "'2000-01-01Z'::timestamptz")
    try await roundTrip(
      PostgresTimestamp(microseconds: -1), is: "'1999-12-31 23:59:59.999999Z'::timestamptz")
    try await roundTrip(PostgresTimestamp.infinity, is: "'infinity'::timestamptz")
    try await roundTrip(Date(timeIntervalSince1970: 0), is: "'1970-01-01Z'::timestamptz")
    try await roundTrip(
      PostgresLocalTimestamp(microseconds: 86_400_000_000), is: "'2000-01-02'::timestamp")
    try await roundTrip(PostgresDate(days: -1), is: "'1999-12-31'::date")
    try await roundTrip(PostgresDate.minusInfinity, is: "'-infinity'::date")
  }

  static let numerics = [
    "0", "0.00", "1", "-1", "10000", "9999", "0.0001", "0.00001", "-123456789.987654321",
    "100000000000000000000", "1e-20", "1.50", "12345.6789", "NaN", "Infinity", "-Infinity",
    "0.1", "1000000.000001", "-0.5",
  ]

  @Test("numeric is exact, in both directions", arguments: numerics)
  func numeric(text: String) async throws {
    try await withServer { connection in
      let sent = try #require(PostgresNumeric(text))
      let row = try #require(
        await connection.query(
          "SELECT $1 AS v, $1::text AS t, $2::numeric AS w, $2::numeric = $1 AS same",
          [sent, PostgresLiteral(text)]
        ).first)
      #expect(try row.decode("same", as: Bool.self))
      let text = try row.decode("t", as: String.self)
      #expect(try row.decode("v", as: PostgresNumeric.self).text == text)
      let asDouble = try row.decode("w", as: Double.self)
      let expected = try #require(Double(text == "NaN" ? "nan" : text))
      #expect(asDouble == expected || (asDouble.isNaN && expected.isNaN))
    }
  }

  @Test("what is not a number is no numeric", arguments: ["", "-", "1.2.3", "abc", "1e", "1 "])
  func notNumeric(text: String) {
    #expect(PostgresNumeric(text) == nil)
  }

  @Test("arrays round trip: empty, one, many, with NULL")
  func arrays() async throws {
    try await roundTrip([Double](), is: "'{}'::float8[]")
    try await roundTrip([1.5, -.infinity], is: "'{1.5,-Infinity}'::float8[]")
    try await roundTrip([Int32(7)], is: "'{7}'::int4[]")
    try await roundTrip(["a", "", "b\"c,d"], is: #"ARRAY['a','','b"c,d']"#)
    try await roundTrip([true, false], is: "'{t,f}'::bool[]")
    try await roundTrip([1, nil, 3] as [Int?], is: "'{1,NULL,3}'::int8[]")
    try await roundTrip([Float](), is: "'{}'::float4[]")
    try await roundTrip([PostgresDate(days: 0)], is: "'{2000-01-01}'::date[]")
    try await roundTrip([[1, 2], []] as [[UInt8]], is: #"ARRAY['\x0102','\x']::bytea[]"#)
  }

  @Test("an array with a NULL is refused where NULL cannot be said, and so are two dimensions")
  func arrayRefusals() async throws {
    try await withServer { connection in
      let row = try #require(
        await connection.query("SELECT ARRAY[1,NULL]::int8[] a, ARRAY[[1,2],[3,4]]::int8[] b").first
      )
      #expect(throws: PostgresError.self) { try row.decode("a", as: [Int].self) }
      #expect(throws: PostgresError.self) { try row.decode("b", as: [Int].self) }
    }
  }

  @Test("NULL of every type is nil, and an error where there must be a value")
  func nulls() async throws {
    try await withServer { connection in
      let missing: [any PostgresEncodable] = [
        Int?.none, String?.none, Double?.none, Date?.none, [Double]?.none, PostgresJSON?.none,
      ]
      let row = try #require(
        await connection.query("SELECT $1 a, $2 b, $3 c, $4 d, $5 e, $6 f", missing).first)
      #expect(try row.decode("a", as: Int?.self) == nil)
      #expect(try row.decode("b", as: String?.self) == nil)
      #expect(try row.decode("e", as: [Double]?.self) == nil)
      #expect(
        row.columns.map(\.type) == [.int8, .text, .float8, .timestamptz, .float8Array, .jsonb])
      let error = #expect(throws: PostgresError.self) { try row.decode("a", as: Int.self) }
      #expect(error?.code == .decoding)
      #expect(error?.column == "a")
      #expect(error?.description.contains("NULL") == true)
    }
  }

  @Test("a wider integer that fits is taken, one that does not is refused without its value")
  func narrowing() async throws {
    try await withServer { connection in
      let row = try #require(
        await connection.query("SELECT 7::int8 a, 70000::int4 b, 'x' c").first)
      #expect(try row.decode("a", as: Int16.self) == 7)
      let error = #expect(throws: PostgresError.self) { try row.decode("b", as: Int16.self) }
      #expect(error?.description.contains("70000") == false)
      #expect(throws: PostgresError.self) { try row.decode("c", as: Int.self) }
      #expect(throws: PostgresError.self) { try row.decode("missing", as: Int.self) }
    }
  }

  @Test("enumerations and intervals go in as literals, enumerations come out as text")
  func literals() async throws {
    try await withServer { connection in
      try await connection.executeScript("CREATE TYPE pg_temp.mood AS ENUM ('calm', 'wild')")
      let row = try #require(
        await connection.query(
          "SELECT $1::pg_temp.mood AS m, $2::interval = interval '1 day' AS d",
          [PostgresLiteral("wild"), PostgresLiteral("24:00:00")]
        ).first)
      #expect(try row.decode("m", as: String.self) == "wild")
      #expect(try row.decode("d", as: Bool.self))
    }
  }
}
