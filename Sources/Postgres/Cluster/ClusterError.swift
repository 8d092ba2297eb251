import Foundation

/// Why the embedded cluster could not be created, started or stopped.
///
/// The description is one sentence for the operator, followed by the end of the server's own output
/// where that says more. Nothing in it is secret: the cluster has no passwords.
package struct ClusterError: Error, Sendable, Equatable {
  package enum Code: String, Sendable, CaseIterable {
    /// No `initdb` and `postgres` on this machine, or none in `FORECAST_PG_BIN`.
    case programsMissing
    /// The data directory was made by another major version than the programs found.
    case versionMismatch
    /// The directory cannot be reached, created or used by the server's user.
    case directoryUnusable
    /// The file system of the directory is full.
    case diskFull
    /// `initdb` failed for another reason; its output is in the description.
    case initialisationFailed
    /// The server ended before it was ready; the end of its log is in the description.
    case startFailed
    /// The server lives but was not ready in time, for instance in a long recovery.
    case notReady
    /// The server did not end, or may not be signalled by this user.
    case stopFailed
  }

  package typealias Fault = PostgresError.Fault

  package let code: Code
  package let message: String
  /// The last lines of the server's or `initdb`'s output; empty where there is none.
  package let output: String

  package init(_ code: Code, _ message: String, output: String = "") {
    self.code = code
    self.message = message
    self.output = output
  }

  package var fault: Fault { Self.judgement(of: code).fault }

  /// Whether the same call may succeed later with nothing changed by hand.
  package var isTransient: Bool { Self.judgement(of: code).isTransient }

  private static func judgement(of code: Code) -> (fault: Fault, isTransient: Bool) {
    switch code {
    case .programsMissing, .versionMismatch, .directoryUnusable: (.configuration, false)
    case .diskFull, .notReady: (.database, true)
    case .initialisationFailed, .startFailed, .stopFailed: (.database, false)
    }
  }
}

extension ClusterError: CustomStringConvertible {
  package var description: String {
    output.isEmpty ? message : message + "\n" + output
  }
}

extension ClusterError {
  /// Names the known causes in the output of `initdb` or the server, whose messages are in English
  /// because they run in the C locale.
  static func classify(
    output: String, directory: String, otherwise code: Code, _ message: String
  ) -> ClusterError {
    let tail = lastLines(of: output, count: 15)
    let isFull = ["No space left on device", "Disk quota exceeded"].contains(where: output.contains)
    // On a full disk the server often has no room to say so in its log.
    if isFull || freeBytes(at: directory) < 1_048_576 {
      return ClusterError(
        .diskFull,
        "The disk that holds \(directory) is full: free some space, or set FORECAST_DATA_DIR to a "
          + "directory elsewhere.",
        output: tail)
    }
    let refusals = ["Permission denied", "Read-only file system", "can't cd to"]
    if refusals.contains(where: output.contains) {
      return ClusterError(
        .directoryUnusable,
        "The user who runs PostgreSQL may not enter or write in \(directory): check the owner and "
          + "permissions of it and of the folders above, or set FORECAST_DATA_DIR to another "
          + "directory.",
        output: tail)
    }
    return ClusterError(code, message, output: tail)
  }

  private static func freeBytes(at path: String) -> UInt64 {
    var information = statvfs()
    guard statvfs(path, &information) == 0 else { return .max }
    return UInt64(information.f_bavail) * UInt64(information.f_frsize)
  }

  static func lastLines(of text: String, count: Int) -> String {
    text.split(separator: "\n").suffix(count).joined(separator: "\n")
  }

  /// An operating-system error on a path of the cluster.
  static func system(_ number: Int32, _ what: String, path: String) -> ClusterError {
    let reason = String(cString: strerror(number))
    if number == ENOSPC || number == EDQUOT {
      return ClusterError(
        .diskFull, "Could not \(what) \(path), the disk is full: free some space there.")
    }
    return ClusterError(
      .directoryUnusable,
      "Could not \(what) \(path) (\(reason)): check its owner and permissions, or set "
        + "FORECAST_DATA_DIR to another directory.")
  }
}
