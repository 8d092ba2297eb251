package import Logging

/// Listens on a connection of its own, and reconnects for as long as somebody iterates.
///
/// A notification is a hint, polling is the truth: after every `connected`, look once at what the notifications are
/// about, since some may have been missed.
package struct PostgresListener: Sendable {
  package enum Event: Sendable {
    /// Listening from now on; anything may have happened before.
    case connected
    case notification(PostgresNotification)
    /// The connection was lost or could not be opened; another attempt follows.
    case disconnected(PostgresError)
  }

  package let configuration: PostgresConfiguration
  package let channels: [String]
  let logger: Logger

  package init(_ configuration: PostgresConfiguration, channels: [String], logger: Logger) {
    self.configuration = configuration
    self.channels = channels
    self.logger = logger
  }

  /// What happens, until the iterating task is cancelled. The newest 1024 events are kept for a slow reader.
  ///
  /// An error that no waiting mends, such as a wrong password, ends the stream after its `disconnected`.
  package func events() -> AsyncStream<Event> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: Event.self, bufferingPolicy: .bufferingNewest(1024))
    let task = Task {
      await listen { continuation.yield($0) }
      continuation.finish()
    }
    continuation.onTermination = { _ in task.cancel() }
    return stream
  }

  private func listen(_ report: @Sendable (Event) -> Void) async {
    var backOff = BackOff()
    while !Task.isCancelled {
      do {
        let connection = try await PostgresConnection.connect(configuration, logger: logger)
        do {
          let notifications = try await connection.notifications(on: channels)
          backOff = BackOff()
          report(.connected)
          for try await notification in notifications { report(.notification(notification)) }
          await connection.close()
        } catch {
          await connection.close()
          throw error
        }
      } catch let error as PostgresError {
        report(.disconnected(error))
        guard error.isTransient else { return }
        logger.info("listening again after a pause", metadata: ["error": "\(error)"])
        do { try await Task.sleep(for: backOff.next()) } catch { return }
      } catch {
        return
      }
    }
  }
}
