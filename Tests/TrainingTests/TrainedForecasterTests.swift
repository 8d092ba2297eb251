import Forecasters
import Foundation
import TestSupport
import Testing
import Training

@Suite("Trained forecasters")
struct TrainedForecasterTests {
  private let panel = Sample.panel(Sample.seasonal(7, missing: 0.05))

  private func trained() throws -> TrainedForecaster {
    try Sample.fit(panel, TrainingConfiguration(steps: 10, batch: 8)).forecaster
  }

  @Test("bytes come back as the same forecaster")
  func roundTrip() throws {
    let forecaster = try trained()
    let bytes = try forecaster.encoded()
    let back = try TrainedForecaster(decoding: bytes)
    #expect(back == forecaster)
    #expect(try back.encoded() == bytes)
    #expect(try Sample.forecasts(back, panel) == Sample.forecasts(forecaster, panel))
  }

  @Test("the header is that of safetensors: names, shapes and offsets without holes")
  func header() throws {
    let forecaster = try trained()
    let bytes = try forecaster.encoded()
    let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    #expect(length.isMultiple(of: 8))
    let header = try #require(
      JSONSerialization.jsonObject(with: Data(bytes[8..<(8 + length)])) as? [String: Any])
    let metadata = try #require(header["__metadata__"] as? [String: String])
    #expect(metadata["format"] == "forecast-1")
    #expect(metadata["configuration"]?.contains("\"contextLength\":16") == true)
    var ranges: [Range<Int>] = []
    for (name, value) in header where name != "__metadata__" {
      let entry = try #require(value as? [String: Any])
      #expect(entry["dtype"] as? String == "F32")
      let shape = try #require(entry["shape"] as? [Int])
      let offsets = try #require(entry["data_offsets"] as? [Int])
      #expect(offsets[1] - offsets[0] == 4 * shape.reduce(1, *))
      ranges.append(offsets[0]..<offsets[1])
    }
    ranges.sort { $0.lowerBound < $1.lowerBound }
    #expect(ranges.first?.lowerBound == 0)
    #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
    #expect(ranges.last?.upperBound == forecaster.parameterCount * 4)
    #expect(bytes.count == 8 + length + forecaster.parameterCount * 4)
  }

  private func refuses(_ bytes: [UInt8], _ text: String) {
    do {
      _ = try TrainedForecaster(decoding: bytes)
      Issue.record("accepted: \(text)")
    } catch let error as ForecasterError {
      #expect(!error.message.isEmpty)
    } catch { Issue.record("\(text): \(error)") }
  }

  /// The bytes with `old` in the header replaced, and the header's length set right.
  private func replacing(_ old: String, _ new: String, in bytes: [UInt8]) -> [UInt8] {
    let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let text = String(decoding: bytes[8..<(8 + length)], as: UTF8.self)
    #expect(text.contains(old))
    let header = Array(text.replacingOccurrences(of: old, with: new).utf8)
    let count = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) }
    return count + header + bytes[(8 + length)...]
  }

  @Test("bytes that were cut, changed or made up are refused")
  func corrupted() throws {
    let bytes = try trained().encoded()
    for count in [0, 1, 7, 8, 9, 100, bytes.count / 2, bytes.count - 4, bytes.count - 1] {
      refuses(Array(bytes[..<count]), "\(count) bytes")
    }
    refuses(bytes + [0], "a byte too many")
    refuses([UInt8](repeating: 0xff, count: 64), "no header")
    refuses([UInt8](repeating: 0, count: 64), "an empty header")
    refuses(Array("not a model at all".utf8), "text")
    for (old, new) in [
      ("\"F32\"", "\"F64\""), ("head.bias", "head.base"), ("lstm", "lsmt"),
      ("\\\"hidden\\\":8", "\\\"hidden\\\":9"), ("\\\"hidden\\\":8", "\\\"hidden\\\":4096"),
      ("\\\"hidden\\\":8", "\\\"hidden\\\":-8"),
      ("\\\"horizon\\\":4", "\\\"horizon\\\":9223372036854775807"),
      ("\"data_offsets\":[0,", "\"data_offsets\":[-4,"),
      ("\"data_offsets\":[0,", "\"data_offsets\":[9223372036854775807,"),
      ("\"data_offsets\":[0,", "\"data_offsets\":[1,-9223372036854775808,"),
      ("\"configuration\"", "\"konfiguration\""),
    ] {
      refuses(replacing(old, new, in: bytes), "\(new) for \(old)")
    }
    var poisoned = bytes
    poisoned.replaceSubrange((bytes.count - 4)..., with: [0, 0, 0xc0, 0x7f])
    refuses(poisoned, "a weight that is NaN")
  }

  @Test("series come in panel order and forecast as they would alone", arguments: [1, 2, 4])
  func streaming(threads: Int) throws {
    let forecaster = try trained()
    let all = try Sample.forecasts(forecaster, panel, threads: threads)
    #expect(all.count == panel.count)
    for series in 0..<panel.count {
      let alone = Panel(
        keys: [panel.keys[series]], offsets: [0, panel.range(of: series).count],
        values: Array(panel.values[panel.range(of: series)]),
        firstOrdinals: [panel.firstOrdinals[series]])
      let one = try Sample.forecasts(forecaster, alone)
      expectClose(all[series].quantiles, one[0].quantiles, relative: 1e-5)
      expectClose(all[series].means, one[0].means, relative: 1e-5)
    }
  }

  @Test("panels larger than one block of rows forecast every series, on any number of threads")
  func blocks() throws {
    let forecaster = try trained()
    let large = Sample.panel(Sample.seasonal(700, length: 20))
    let one = try Sample.forecasts(forecaster, large)
    let three = try Sample.forecasts(forecaster, large, threads: 3)
    #expect(one.count == 700)
    for (a, b) in zip(one, three) { expectClose(a.quantiles, b.quantiles, relative: 1e-5) }
  }

  @Test("reordered series give reordered forecasts")
  func permutation() throws {
    let forecaster = try trained()
    let order = [3, 0, 6, 2, 5, 1, 4]
    let parts = order.map { Array(panel.values[panel.range(of: $0)]) }
    let shuffled = Sample.panel(parts)
    let moved = Panel(
      keys: shuffled.keys, offsets: shuffled.offsets, values: shuffled.values,
      firstOrdinals: order.map { panel.firstOrdinals[$0] })
    let before = try Sample.forecasts(forecaster, panel)
    let after = try Sample.forecasts(forecaster, moved)
    for (position, series) in order.enumerated() {
      expectClose(after[position].quantiles, before[series].quantiles, relative: 1e-6)
    }
  }

  @Test("an empty panel forecasts nothing, and an error of the receiver comes through")
  func ends() throws {
    let forecaster = try trained()
    #expect(try Sample.forecasts(forecaster, Sample.panel([])).isEmpty)
    var received = 0
    #expect(throws: Sample.Disorder.self) {
      try forecaster.predict(panel, threads: 2) { _ in
        received += 1
        if received == 2 { throw Sample.Disorder() }
      }
    }
    #expect(received == 2)
  }

  @Test("quantiles do not decrease and means lie among them")
  func ordered() throws {
    for forecast in try Sample.forecasts(trained(), panel) {
      for h in 0..<4 {
        let row = forecast.quantiles[(h * 3)..<(h * 3 + 3)]
        #expect(zip(row, row.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(row.first! <= forecast.means[h] && forecast.means[h] <= row.last!)
      }
    }
  }

  @Test(
    "the weights of a mean sum to one and mirror with their levels",
    arguments: [[0.5], [0.1, 0.9], [0.05, 0.1, 0.5, 0.9, 0.95], [0.2, 0.3], [0.99]])
  func meanWeights(levels: [Double]) {
    let weights = TrainedForecaster.meanWeights(levels: levels)
    #expect(weights.count == levels.count && weights.allSatisfy { $0 > 0 })
    expectClose(weights.reduce(0, +), 1, absolute: 1e-15)
    let mirrored = TrainedForecaster.meanWeights(levels: levels.reversed().map { 1 - $0 })
    expectClose(mirrored.reversed(), weights, absolute: 1e-15)
  }

  @Test("the mean of a uniform distribution is exact inside its levels")
  func uniformMean() {
    let levels = (1...99).map { Double($0) / 100 }
    let mean = zip(TrainedForecaster.meanWeights(levels: levels), levels).reduce(0) {
      $0 + $1.0 * $1.1
    }
    expectClose(mean, 0.5, absolute: 1e-14)
  }
}
