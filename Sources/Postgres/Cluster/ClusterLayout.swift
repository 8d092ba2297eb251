import Foundation

/// The paths of a cluster below its directory, and the folder of its socket.
struct ClusterLayout: Sendable {
  /// PostgreSQL's own default is 5432; another number keeps the two apart wherever they share a
  /// folder. It only names the socket file: nothing listens on TCP.
  static let port = 5487

  /// The longest path a unix socket can have: `sun_path` holds 108 bytes with the final zero.
  static let longestSocketPath = 107

  let directory: String

  var data: String { directory + "/data" }
  var logs: String { directory + "/log" }
  /// What the server says before its own log is open.
  var startLog: String { logs + "/start.log" }
  /// Held while the cluster is created, started or stopped.
  var lock: String { directory + "/cluster.lock" }
  /// Records the socket's folder where it could not be `run` below the directory.
  var socketRecord: String { directory + "/socket-directory" }
  var configuration: String { data + "/forecast.conf" }

  /// The major version in `PG_VERSION`; `nil` where there is no cluster yet.
  var dataVersion: Int? {
    (try? String(contentsOfFile: data + "/PG_VERSION", encoding: .utf8))
      .flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
  }

  static func socketFits(in folder: String) -> Bool {
    "\(folder)/.s.PGSQL.\(port)".utf8.count <= longestSocketPath
  }

  /// The folders to try for the socket, best first.
  ///
  /// A path too long for a socket is replaced by one in `/tmp` whose name is a hash of the
  /// directory. `/tmp` comes before `$XDG_RUNTIME_DIR`, which is emptied when the user logs out
  /// while the server lives on. The numbered names are for the case that somebody else owns the
  /// first one.
  func socketDirectories(environment: [String: String]) -> [String] {
    let near = directory + "/run"
    if Self.socketFits(in: near) { return [near] }
    let name = "forecast-" + Self.hash(directory)
    var folders = ["/tmp/\(name)"] + (2...9).map { "/tmp/\(name)-\($0)" }
    if let runtime = environment["XDG_RUNTIME_DIR"], runtime.hasPrefix("/") {
      folders.append("\(runtime)/\(name)")
    }
    return folders.filter(Self.socketFits)
  }

  /// FNV-1a, 64 bits: short, the same in every process, and not security: the folder's owner is
  /// checked.
  static func hash(_ text: String) -> String {
    let value = text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
      ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3
    }
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

/// Files with an owner: made by root for the server's user, or by the user for itself.
enum OwnedFile {
  /// Makes a folder only its owner may enter, or checks that an existing one is.
  /// - Returns: false where the path belongs to somebody else or is no folder.
  static func makePrivateDirectory(_ path: String, owner: ServerAccount) throws -> Bool {
    if mkdir(path, 0o700) == 0 {
      guard geteuid() != 0 || chown(path, owner.uid, owner.gid) == 0 else {
        throw ClusterError.system(errno, "change the owner of", path: path)
      }
      return true
    }
    guard errno == EEXIST else { throw ClusterError.system(errno, "create", path: path) }
    var information = stat()
    guard lstat(path, &information) == 0, information.st_mode & S_IFMT == S_IFDIR,
      information.st_uid == owner.uid
    else { return false }
    if information.st_mode & 0o777 != 0o700, chmod(path, 0o700) != 0 {
      throw ClusterError.system(errno, "close to others", path: path)
    }
    return true
  }

  /// Writes a small file at once (temporary name, then rename) and hands it to its owner.
  static func write(_ text: String, to path: String, owner: ServerAccount) throws {
    let temporary = path + ".new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw ClusterError.system(errno, "create", path: path) }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0,
      geteuid() != 0 || fchown(descriptor, owner.uid, owner.gid) == 0,
      rename(temporary, path) == 0
    else { throw ClusterError.system(errno, "write", path: path) }
  }
}

/// An exclusive lock on a file between processes, and between tasks of one; the kernel releases it
/// if the process dies.
struct FileLock {
  private let descriptor: Int32

  /// Waits for the lock, blocking.
  /// - Parameter waiting: called before a wait, when somebody else holds it.
  init(_ path: String, owner: ServerAccount, waiting: () -> Void = {}) throws {
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw ClusterError.system(errno, "open", path: path) }
    if geteuid() == 0 { _ = fchown(descriptor, owner.uid, owner.gid) }
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
    waiting()
    while flock(descriptor, LOCK_EX) != 0 {
      guard errno == EINTR else {
        let reason = errno
        close(descriptor)
        throw ClusterError.system(reason, "lock", path: path)
      }
    }
  }

  /// To be called once.
  func release() { close(descriptor) }
}
