package import Testing

/// Records an issue unless `|actual - expected| <= absolute + relative * |expected|`.
///
/// Equal infinities are close; a NaN is close to nothing, except to an expected NaN.
/// - Returns: whether they are close, for tests that stop at the first difference.
@discardableResult
package func expectClose<Value: BinaryFloatingPoint>(
  _ actual: Value, _ expected: Value, absolute: Value = 0, relative: Value = 0,
  _ comment: @autoclosure () -> Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) -> Bool {
  if isClose(actual, expected, absolute: absolute, relative: relative) { return true }
  Issue.record(
    """
    \(actual) is not close to \(expected): difference \(actual - expected), \
    tolerance \(absolute) + \(relative) relative\(suffix(comment()))
    """, sourceLocation: sourceLocation)
  return false
}

/// The same for every pair of two collections of equal length; one issue names the worst pair.
@discardableResult
package func expectClose<Value: BinaryFloatingPoint>(
  _ actual: some Collection<Value>, _ expected: some Collection<Value>, absolute: Value = 0,
  relative: Value = 0, _ comment: @autoclosure () -> Comment? = nil,
  sourceLocation: SourceLocation = #_sourceLocation
) -> Bool {
  guard actual.count == expected.count else {
    Issue.record(
      "\(actual.count) values where \(expected.count) were expected\(suffix(comment()))",
      sourceLocation: sourceLocation)
    return false
  }
  let far = zip(actual, expected).enumerated().filter {
    !isClose($0.element.0, $0.element.1, absolute: absolute, relative: relative)
  }
  func excess(_ pair: (Value, Value)) -> Value {
    let excess = abs(pair.0 - pair.1) - relative * abs(pair.1)
    return excess.isNaN ? .infinity : excess
  }
  guard let worst = far.max(by: { excess($0.element) < excess($1.element) }) else { return true }
  Issue.record(
    """
    \(far.count) of \(expected.count) values differ, worst at [\(worst.offset)]: \
    \(worst.element.0), expected \(worst.element.1), \
    tolerance \(absolute) + \(relative) relative\(suffix(comment()))
    """, sourceLocation: sourceLocation)
  return false
}

private func isClose<Value: BinaryFloatingPoint>(
  _ actual: Value, _ expected: Value, absolute: Value, relative: Value
) -> Bool {
  if actual == expected || (actual.isNaN && expected.isNaN) { return true }
  guard actual.isFinite, expected.isFinite else { return false }
  return abs(actual - expected) <= absolute + relative * abs(expected)
}

private func suffix(_ comment: Comment?) -> String {
  comment.map { " (\($0))" } ?? ""
}
