import CLibPQ

/// Parameters in the form libpq wants: one buffer, and a place in it for each.
struct EncodedParameters: Sendable {
  private(set) var types: [Oid] = []
  private var bytes: [UInt8] = []
  /// Where each value starts; -1 for NULL.
  private var starts: [Int] = []
  private var lengths: [Int32] = []
  private var formats: [Int32] = []

  init(_ parameters: [any PostgresEncodable]) {
    guard !parameters.isEmpty else { return }
    types.reserveCapacity(parameters.count)
    starts.reserveCapacity(parameters.count)
    for parameter in parameters {
      types.append(type(of: parameter).postgresType.rawValue)
      formats.append(type(of: parameter).isTextFormat ? 0 : 1)
      if parameter.isNull {
        starts.append(-1)
        lengths.append(0)
      } else {
        starts.append(bytes.count)
        parameter.encode(into: &bytes)
        lengths.append(Int32(bytes.count - starts[starts.count - 1]))
      }
    }
    // A value of no bytes still needs a place that is not NULL.
    bytes.append(0)
  }

  var count: Int32 { Int32(types.count) }

  func withPointers<R>(
    _ body: (
      _ types: UnsafePointer<Oid>?, _ values: UnsafePointer<UnsafePointer<CChar>?>?,
      _ lengths: UnsafePointer<Int32>?, _ formats: UnsafePointer<Int32>?
    ) -> R
  ) -> R {
    bytes.withUnsafeBytes { buffer in
      let base = buffer.bindMemory(to: CChar.self).baseAddress
      let values: [UnsafePointer<CChar>?] = starts.map { start in
        start < 0 ? nil : base.map { $0 + start }
      }
      return values.withUnsafeBufferPointer { values in
        types.withUnsafeBufferPointer { types in
          lengths.withUnsafeBufferPointer { lengths in
            formats.withUnsafeBufferPointer { formats in
              body(types.baseAddress, values.baseAddress, lengths.baseAddress, formats.baseAddress)
            }
          }
        }
      }
    }
  }
}
