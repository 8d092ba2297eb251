import Postgres

/// Repeats `body` while it fails with a transient database error, with growing pauses, for at most
/// `limit`; then its error stands. The task's own cancellation ends it at once.
package func retrying<R: Sendable>(
  upTo limit: Duration, _ body: @Sendable () async throws -> R
) async throws -> R {
  let clock = ContinuousClock()
  let deadline = clock.now + limit
  var pause = Duration.milliseconds(100)
  while true {
    do {
      return try await body()
    } catch let error as PostgresError where error.isTransient && error.code != .commitUnknown {
      if clock.now + pause > deadline { throw error }
    }
    try await Task.sleep(for: pause)
    pause = min(pause * 2, .seconds(5))
  }
}
