/// A type by its object identifier in `pg_type`.
package struct PostgresType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  package let rawValue: UInt32

  @inlinable package init(rawValue: UInt32) { self.rawValue = rawValue }
  @inlinable init(_ rawValue: UInt32) { self.rawValue = rawValue }

  /// Leaves the choice to the server, from the context in the statement.
  package static let unspecified = PostgresType(0)
  package static let bool = PostgresType(16)
  package static let bytea = PostgresType(17)
  package static let char = PostgresType(18)
  package static let name = PostgresType(19)
  package static let int8 = PostgresType(20)
  package static let int2 = PostgresType(21)
  package static let int4 = PostgresType(23)
  package static let text = PostgresType(25)
  package static let oid = PostgresType(26)
  package static let json = PostgresType(114)
  package static let xml = PostgresType(142)
  package static let float4 = PostgresType(700)
  package static let float8 = PostgresType(701)
  package static let unknown = PostgresType(705)
  package static let boolArray = PostgresType(1000)
  package static let byteaArray = PostgresType(1001)
  package static let int2Array = PostgresType(1005)
  package static let int4Array = PostgresType(1007)
  package static let textArray = PostgresType(1009)
  package static let int8Array = PostgresType(1016)
  package static let float4Array = PostgresType(1021)
  package static let float8Array = PostgresType(1022)
  package static let bpchar = PostgresType(1042)
  package static let varchar = PostgresType(1043)
  package static let date = PostgresType(1082)
  package static let time = PostgresType(1083)
  package static let timestamp = PostgresType(1114)
  package static let timestampArray = PostgresType(1115)
  package static let dateArray = PostgresType(1182)
  package static let timestamptz = PostgresType(1184)
  package static let timestamptzArray = PostgresType(1185)
  package static let interval = PostgresType(1186)
  package static let numericArray = PostgresType(1231)
  package static let numeric = PostgresType(1700)
  package static let void = PostgresType(2278)
  package static let uuid = PostgresType(2950)
  package static let uuidArray = PostgresType(2951)
  package static let jsonb = PostgresType(3802)
  package static let jsonbArray = PostgresType(3807)

  /// Whether a binary value of this type is plain UTF-8. Types made by users (enumerations, extensions) count as
  /// text, and are checked to be UTF-8 when decoded.
  package var isText: Bool {
    switch self {
    case .text, .varchar, .bpchar, .name, .json, .xml, .unknown, .char: true
    default: rawValue >= 16384
    }
  }

  /// Whether ``PostgresNumber`` can read a binary value of this type as a floating-point number.
  package var isNumber: Bool {
    switch self {
    case .int2, .int4, .int8, .float4, .float8, .numeric: true
    default: false
    }
  }

  package var description: String {
    switch self {
    case .unspecified: "unspecified"
    case .bool: "boolean"
    case .bytea: "bytea"
    case .char: "\"char\""
    case .name: "name"
    case .int8: "bigint"
    case .int2: "smallint"
    case .int4: "integer"
    case .text: "text"
    case .oid: "oid"
    case .json: "json"
    case .xml: "xml"
    case .float4: "real"
    case .float8: "double precision"
    case .unknown: "unknown"
    case .boolArray: "boolean[]"
    case .byteaArray: "bytea[]"
    case .int2Array: "smallint[]"
    case .int4Array: "integer[]"
    case .textArray: "text[]"
    case .int8Array: "bigint[]"
    case .float4Array: "real[]"
    case .float8Array: "double precision[]"
    case .bpchar: "character"
    case .varchar: "character varying"
    case .date: "date"
    case .time: "time without time zone"
    case .timestamp: "timestamp without time zone"
    case .timestampArray: "timestamp without time zone[]"
    case .dateArray: "date[]"
    case .timestamptz: "timestamp with time zone"
    case .timestamptzArray: "timestamp with time zone[]"
    case .interval: "interval"
    case .numericArray: "numeric[]"
    case .numeric: "numeric"
    case .void: "void"
    case .uuid: "uuid"
    case .uuidArray: "uuid[]"
    case .jsonb: "jsonb"
    case .jsonbArray: "jsonb[]"
    default: "type with OID \(rawValue)"
    }
  }
}
