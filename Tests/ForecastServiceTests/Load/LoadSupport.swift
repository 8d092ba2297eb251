import ForecastService
import Foundation

/// One loaded row as a test reads it.
struct Row: Equatable, CustomStringConvertible {
  var series: String
  var time: Int64
  var values: [Double?]

  init(_ series: String, _ time: Int64, _ values: Double?...) {
    (self.series, self.time, self.values) = (series, time, values)
  }

  init(_ series: String, _ time: Int64, list: [Double?]) {
    (self.series, self.time, self.values) = (series, time, list)
  }

  var description: String { "\(series)|\(time)|\(values.map { $0.map { "\($0)" } ?? "null" })" }
}

/// Options with what a test changes.
func options(_ change: (inout LoadOptions) -> Void = { _ in }) -> LoadOptions {
  var options = LoadOptions(table: "t")
  change(&options)
  return options
}

/// All rows of a text, or the error that stopped it.
func rows(
  _ text: String, limit: Int = 8192, _ change: (inout LoadOptions) -> Void = { _ in }
) throws -> [Row] {
  try rows(bytes: Array(text.utf8), limit: limit, change)
}

func rows(
  bytes: [UInt8], limit: Int = 8192, _ change: (inout LoadOptions) -> Void = { _ in }
) throws -> [Row] {
  var loader = try CSVLoader(bytes: bytes, name: "file.csv", options: options(change))
  var batch = LoadBatch()
  var result: [Row] = []
  while try loader.next(into: &batch, limit: limit) {
    let width = batch.values.count / batch.count
    for row in 0..<batch.count {
      let values = batch.values[row * width..<(row + 1) * width].map { $0.isNaN ? nil : $0 }
      result.append(Row(batch.series(row), batch.times[row], list: values))
    }
  }
  return result
}

/// The error of reading a text, as the user sees it.
func complaint(
  _ text: String, _ change: (inout LoadOptions) -> Void = { _ in }
) -> String? {
  complaint(bytes: Array(text.utf8), change)
}

func complaint(
  bytes: [UInt8], _ change: (inout LoadOptions) -> Void = { _ in }
) -> String? {
  do {
    _ = try rows(bytes: bytes, change)
    return nil
  } catch {
    return (error as? LoadError)?.description ?? "not a LoadError: \(error)"
  }
}

/// A gzip member with stored (not deflated) blocks: small code, the same format.
func gzipMember(_ content: [UInt8]) -> [UInt8] {
  var result: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]
  var start = 0
  repeat {
    let end = min(start + 65_535, content.count)
    let size = UInt16(end - start)
    result.append(end == content.count ? 1 : 0)
    result += [UInt8(size & 255), UInt8(size >> 8), UInt8(~size & 255), UInt8(~size >> 8)]
    result += content[start..<end]
    start = end
  } while start < content.count
  var crc: UInt32 = 0xFFFF_FFFF
  for byte in content {
    crc ^= UInt32(byte)
    for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
  }
  for word in [~crc, UInt32(content.count)] {
    for shift in [0, 8, 16, 24] { result.append(UInt8(word >> UInt32(shift) & 255)) }
  }
  return result
}
