import CLibPQ
import Dispatch

/// What NOTIFY sent.
package struct PostgresNotification: Sendable, Hashable {
  package let channel: String
  package let payload: String
  /// Process number of the session that sent it.
  package let processID: Int32
}

/// One stream's end on a connection.
struct NotificationListener {
  let channels: Set<String>
  let continuation: AsyncThrowingStream<PostgresNotification, any Error>.Continuation

  func finish(_ error: PostgresError?) { continuation.finish(throwing: error) }
}

extension PostgresConnection {
  /// Listens on channels and returns what is sent on them from now on.
  ///
  /// The stream keeps the newest 1024 notifications while nobody reads; a notification is a hint that there is
  /// something to look at, not a queue. It ends with an error when the session is lost; see ``PostgresListener`` for one
  /// that reconnects.
  package func notifications(
    on channels: [String]
  ) async throws -> AsyncThrowingStream<PostgresNotification, any Error> {
    for channel in channels {
      try await executeScript("LISTEN \(Self.quoted(channel))")
    }
    let (stream, continuation) = AsyncThrowingStream.makeStream(
      of: PostgresNotification.self, bufferingPolicy: .bufferingNewest(1024))
    let id = nextListener
    nextListener += 1
    continuation.onTermination = { [weak self] _ in
      guard let self else { return }
      executor.queue.async { self.assumeIsolated { $0.listeners[id] = nil } }
    }
    guard !machine.isClosed else { throw lost() }
    listeners[id] = NotificationListener(channels: Set(channels), continuation: continuation)
    deliverNotifications()
    return stream
  }

  /// Sends a notification; inside a transaction it goes out with the COMMIT.
  package func notify(_ channel: String, payload: String = "") async throws {
    try await execute("SELECT pg_notify($1, $2)", [channel, payload])
  }

  func deliverNotifications() {
    guard let connection = raw else { return }
    while let arrived = PQnotifies(connection) {
      defer { PQfreemem(arrived) }
      let notification = PostgresNotification(
        channel: String(cString: arrived.pointee.relname),
        payload: String(cString: arrived.pointee.extra), processID: arrived.pointee.be_pid)
      for listener in listeners.values where listener.channels.contains(notification.channel) {
        listener.continuation.yield(notification)
      }
    }
  }

  /// An identifier as SQL text.
  static func quoted(_ identifier: String) -> String {
    "\""
      + identifier.split(separator: "\"", omittingEmptySubsequences: false).joined(
        separator: "\"\"") + "\""
  }
}
