package import Foundation

/// What an embedded cluster looks like from outside, read without changing anything.
package struct ClusterStatus: Sendable, Equatable {
  package enum State: String, Sendable {
    /// There is no cluster in the directory.
    case absent
    case stopped, starting, running, stopping
  }

  package let state: State
  package let directory: String
  /// `nil` unless a server lives.
  package let pid: Int32?
  /// When that server started; `nil` unless one lives.
  package let startedAt: Date?
  /// The major version of the data directory, such as "15"; `nil` where there is none.
  package let version: String?
  /// Space taken by data and logs; 0 where they may not be read.
  package let bytes: Int64
  /// Where it listens, or will listen when started; `nil` where there is no cluster.
  package let address: ClusterAddress?
  package let logDirectory: String

  package var isRunning: Bool { state == .running }

  static func inspect(_ cluster: EmbeddedCluster) throws -> ClusterStatus {
    let layout = cluster.layout
    if access(layout.directory, F_OK) == 0, access(layout.directory, R_OK | X_OK) != 0 {
      throw ClusterError.system(errno, "look into", path: layout.directory)
    }
    let version = layout.dataVersion
    let file = PostmasterFile.read(dataDirectory: layout.data)
      .flatMap { $0.isAlive(dataDirectory: layout.data) ? $0 : nil }
    let state: State =
      switch file?.status {
      case nil: version == nil ? .absent : .stopped
      case "ready": .running
      case "stopping": .stopping
      default: .starting
      }
    return ClusterStatus(
      state: state, directory: layout.directory, pid: file?.pid, startedAt: file?.startedAt,
      version: version.map(String.init), bytes: size(of: layout.directory),
      address: version == nil ? nil : cluster.address(of: file),
      logDirectory: layout.logs)
  }

  /// Allocated bytes of all files below; files that vanish meanwhile do not count.
  private static func size(of directory: String) -> Int64 {
    guard let paths = FileManager.default.enumerator(atPath: directory) else { return 0 }
    var total: Int64 = 0
    for case let path as String in paths {
      var information = stat()
      if lstat(directory + "/" + path, &information) == 0 {
        total += Int64(information.st_blocks) * 512
      }
    }
    return total
  }
}
