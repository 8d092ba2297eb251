import Foundation
import Postgres

/// A file system in memory of a few megabytes, to fill. One that is mounted in a `TemporaryDirectory` goes with
/// it.
package struct SmallDisk: Sendable {
  package let path: String
  private var ballast: String { path + "/ballast" }

  /// Makes the folder at `path` and mounts the disk on it.
  /// - Parameter options: as `mount` takes them, such as `mode=755`.
  package init(at path: String, megabytes: Int, options: String) throws {
    self.path = path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    let mounted = try ChildProcess.run(
      ["/bin/mount", "-t", "tmpfs", "-o", "size=\(megabytes)m,\(options)", "tmpfs", path],
      environment: ["LC_ALL": "C"])
    guard mounted.status == 0 else {
      throw ClusterError(
        .directoryUnusable, "no file system could be mounted on \(path)", output: mounted.output)
    }
  }

  /// Whether this process may mount: root usually may not in a container.
  static let canMount: Bool = {
    guard geteuid() == 0, let directory = try? TemporaryDirectory() else { return false }
    defer { directory.remove() }
    return (try? SmallDisk(at: directory.path + "/disk", megabytes: 1, options: "mode=755")) != nil
  }()

  /// Writes until nothing more fits.
  package func fill() throws {
    try Data().write(to: URL(fileURLWithPath: ballast))
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: ballast))
    defer { try? handle.close() }
    let block = Data(count: 4096)
    while (try? handle.write(contentsOf: block)) != nil {}
    var room = statvfs()
    guard statvfs(path, &room) == 0, room.f_bavail == 0 else {
      throw ClusterError(.directoryUnusable, "writing to \(path) failed before it was full")
    }
  }

  /// Gives back what `fill` took.
  package func free() throws { try FileManager.default.removeItem(atPath: ballast) }

  @discardableResult
  package func unmount() -> Bool {
    (try? ChildProcess.run(["/bin/umount", path], environment: ["LC_ALL": "C"]))?.status == 0
  }
}
