package import Foundation
import Postgres
import Synchronization

/// A directory under `/tmp` that vanishes with the test process, even after `kill -9`, together with
/// every PostgreSQL server whose data directory lies in it and every file system mounted in it.
///
/// A shell outside our session holds the other end of a socket; when that closes, it kills and
/// removes.
package final class TemporaryDirectory: Sendable {
  package let path: String
  private let watchdog: Mutex<(pid: pid_t, line: Int32)?>

  private static let script = """
    cat >/dev/null
    list() { find "$1" -name postmaster.pid -exec head -n 1 {} \\; 2>/dev/null; }
    is_server() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = postgres ] && \
      ! grep -q '^State:.Z' "/proc/$1/status"; }
    pids=$(list "$1")
    for p in $pids; do is_server "$p" && kill -QUIT "$p"; done
    for p in $pids; do while is_server "$p"; do sleep 0.01; done; done
    grep -F " $1/" /proc/mounts | cut -d " " -f 2 | while read -r d; do umount "$d"; done
    find "$1" -name socket-directory -exec cat {} \\; 2>/dev/null | while read -r d; do
      case $d in /tmp/forecast-*) rm -rf "$d";; esac
    done
    rm -rf "$1"
    """

  /// - Parameter mode: who may enter; by default everybody, as the user of a server must.
  package init(mode: mode_t = 0o755) throws {
    var template = Array("/tmp/forecast-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw ClusterError(.directoryUnusable, "mkdtemp failed in /tmp: \(errno)")
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    chmod(path, mode)
    var ends: [Int32] = [0, 0]
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
      throw ClusterError(.directoryUnusable, "socketpair failed: \(errno)")
    }
    defer { close(ends[1]) }
    let pid = try ChildProcess.spawn(
      ["/bin/sh", "-c", Self.script, "sh", path],
      environment: ["PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"],
      input: ends[1], output: nil, newSession: true)
    watchdog = Mutex((pid, ends[0]))
  }

  /// Ends the servers in it and removes it; returns when that is done. Once is enough.
  package func remove() {
    let taken = watchdog.withLock { current in
      defer { current = nil }
      return current
    }
    guard let taken else { return }
    close(taken.line)
    _ = ChildProcess.wait(for: taken.pid)
  }

  deinit { remove() }
}
