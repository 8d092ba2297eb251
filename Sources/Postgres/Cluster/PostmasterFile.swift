package import Foundation

/// What a server wrote about itself into `postmaster.pid`, the lock file of its data directory.
package struct PostmasterFile: Sendable, Equatable {
  package var pid: pid_t
  package var startedAt: Date?
  package var port: Int?
  package var socketDirectory: String?
  /// `starting`, `ready`, `stopping` or `standby`; empty before the server has got that far.
  package var status: String

  /// `nil` where there is no file, or no pid in it.
  package static func read(dataDirectory: String) -> PostmasterFile? {
    (try? String(contentsOfFile: dataDirectory + "/postmaster.pid", encoding: .utf8))
      .flatMap(parse)
  }

  package static func parse(_ text: String) -> PostmasterFile? {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map {
      $0.trimmingCharacters(in: .whitespaces)
    }
    guard let first = lines.first, let pid = pid_t(first), pid > 0 else { return nil }
    func line(_ number: Int) -> String? {
      lines.count >= number && !lines[number - 1].isEmpty ? lines[number - 1] : nil
    }
    return PostmasterFile(
      pid: pid,
      startedAt: line(3).flatMap(Double.init).map(Date.init(timeIntervalSince1970:)),
      port: line(4).flatMap { Int($0) },
      socketDirectory: line(5),
      status: line(8) ?? "")
  }

  /// Whether the process named in the file is a server of this data directory.
  ///
  /// After a crash or a reboot the number may belong to any other process, or to a dead one nobody
  /// has reaped. PostgreSQL itself only asks whether the process exists, and then refuses to start.
  package func isAlive(dataDirectory: String) -> Bool {
    Self.isServer(pid, dataDirectory: dataDirectory)
  }

  package static func isServer(_ pid: pid_t, dataDirectory: String) -> Bool {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")")
    else { return false }
    let command = text[text.index(after: open)..<close]
    let state = text[close...].dropFirst(2).first
    guard command == "postgres" || command == "postmaster", state != "Z", state != "X" else {
      return false
    }
    // A server works in its data directory. Where we may not look, the name has to do.
    guard let folder = realpath("/proc/\(pid)/cwd", nil) else { return true }
    defer { free(folder) }
    guard let expected = realpath(dataDirectory, nil) else { return false }
    defer { free(expected) }
    return strcmp(folder, expected) == 0
  }

  /// A number no process can have, the kernel's limit being 2^22.
  private static let nobody = Int32.max

  /// Makes the server see a leftover file as stale although its number is in use by a stranger.
  ///
  /// The file is not removed: its other lines let the server find out whether processes of the
  /// crashed server still use the shared memory, in which case it rightly refuses.
  static func markStale(dataDirectory: String) throws {
    let path = dataDirectory + "/postmaster.pid"
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    lines[0] = String(nobody)
    // Written in place, which keeps owner and mode.
    let descriptor = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC)
    guard descriptor >= 0 else { throw ClusterError.system(errno, "write", path: path) }
    defer { close(descriptor) }
    let bytes = Array(lines.joined(separator: "\n").utf8)
    guard write(descriptor, bytes, bytes.count) == bytes.count else {
      throw ClusterError.system(errno, "write", path: path)
    }
  }
}
