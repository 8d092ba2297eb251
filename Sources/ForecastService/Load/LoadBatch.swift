/// Some rows, column by column, on their way from the file to a consumer.
package struct LoadBatch: Sendable {
  /// UTF-8 of all series names, one after another.
  package private(set) var names: [UInt8] = []
  /// Where each row's name ends in `names`.
  package private(set) var nameEnds: [Int] = []
  /// In the unit of the `LoadTimeType`: days or microseconds since 2000-01-01, or the integer.
  package private(set) var times: [Int64] = []
  /// Row by row, `valueCount` each; NaN is NULL.
  package private(set) var values: [Double] = []

  package init() {}

  package var count: Int { times.count }

  /// The bytes of a row's series name in `names`.
  package func name(_ row: Int) -> Range<Int> {
    (row == 0 ? 0 : nameEnds[row - 1])..<nameEnds[row]
  }

  /// A row's series name as text.
  package func series(_ row: Int) -> String { String(decoding: names[name(row)], as: UTF8.self) }

  mutating func removeAll() {
    names.removeAll(keepingCapacity: true)
    nameEnds.removeAll(keepingCapacity: true)
    times.removeAll(keepingCapacity: true)
    values.removeAll(keepingCapacity: true)
  }

  mutating func append(nameFrom bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int) {
    for index in start..<end { names.append(bytes[index]) }
  }
  mutating func append(name bytes: [UInt8]) { names.append(contentsOf: bytes) }
  mutating func endName() { nameEnds.append(names.count) }
  mutating func append(time: Int64) { times.append(time) }
  mutating func append(value: Double) { values.append(value) }

  /// Whether the name that is being written (since the last row) is all ASCII without NUL.
  var openNameIsPlain: Bool {
    let start = nameEnds.last ?? 0
    for index in start..<names.count where names[index] &- 1 >= 0x7F { return false }
    return true
  }

  var openName: ArraySlice<UInt8> { names[(nameEnds.last ?? 0)...] }
}
