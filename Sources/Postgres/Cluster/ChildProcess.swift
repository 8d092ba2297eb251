package import Foundation

/// Runs other programs with nothing inherited but what is named: no descriptors beyond 0 to 2, no
/// blocked or ignored signals, a given environment.
///
/// Blocks its thread, so it is called on a dispatch queue, never on the cooperative pool.
package enum ChildProcess {
  package struct Outcome: Sendable {
    /// Exit code, or 128 + signal number as the shell counts.
    package let status: Int32
    /// Standard output and standard error, in the order they were written.
    package let output: String
  }

  /// Runs a program to its end and gathers what it prints.
  /// - Parameter newSession: detaches it from the terminal, so that Ctrl-C does not reach it.
  package static func run(
    _ arguments: [String], environment: [String: String], newSession: Bool = false
  ) throws -> Outcome {
    var ends: [Int32] = [0, 0]
    // A socket pair because it can be closed on exec from the start; pipe2 is not imported.
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
      throw ClusterError.system(errno, "open a pipe for", path: arguments[0])
    }
    let (readEnd, writeEnd) = (ends[0], ends[1])
    defer { close(readEnd) }
    let pid: pid_t
    do {
      defer { close(writeEnd) }
      pid = try spawn(
        arguments, environment: environment, input: nil, output: writeEnd, newSession: newSession)
    }
    let output = readToEnd(readEnd)
    return Outcome(status: wait(for: pid), output: output)
  }

  /// Starts a program as a direct child; the caller waits for it.
  /// - Parameters:
  ///   - input: becomes standard input; `nil` is `/dev/null`.
  ///   - output: becomes standard output and standard error; `nil` is `/dev/null`.
  package static func spawn(
    _ arguments: [String], environment: [String: String], input: Int32?, output: Int32?,
    newSession: Bool
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input {
      posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    for target: Int32 in [1, 2] {
      if let output {
        posix_spawn_file_actions_adddup2(&actions, output, target)
      } else {
        posix_spawn_file_actions_addopen(&actions, target, "/dev/null", O_WRONLY, 0)
      }
    }
    closeOthers(&actions)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    var flags = Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF)
    // POSIX_SPAWN_SETSID, which is not imported into Swift.
    if newSession { flags |= 0x80 }
    posix_spawnattr_setflags(&attributes, flags)

    var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    argv.append(nil)
    var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") }
    envp.append(nil)
    defer { for text in argv + envp { free(text) } }
    var pid: pid_t = 0
    let failure = posix_spawn(&pid, arguments[0], &actions, &attributes, argv, envp)
    guard failure == 0 else { throw ClusterError.system(failure, "run", path: arguments[0]) }
    return pid
  }

  /// Waits for a direct child and returns its status as the shell would.
  package static func wait(for pid: pid_t) -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 {
      guard errno == EINTR else { return -1 }
    }
    let signal = status & 0x7f
    return signal == 0 ? (status >> 8) & 0xff : 128 + signal
  }

  /// Closes everything from descriptor 3 on in the child.
  ///
  /// The call that does so is newer than some systems (glibc 2.34) and not imported; without it, the
  /// descriptors open at this moment are closed.
  private static func closeOthers(_ actions: inout posix_spawn_file_actions_t) {
    typealias CloseFrom =
      @convention(c) (
        UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32
      ) -> Int32
    if let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") {
      _ = unsafeBitCast(symbol, to: CloseFrom.self)(&actions, 3)
      return
    }
    let open = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    for descriptor in open.compactMap({ Int32($0) }) where descriptor > 2 {
      posix_spawn_file_actions_addclose(&actions, descriptor)
    }
  }

  private static func readToEnd(_ descriptor: Int32) -> String {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(descriptor, &chunk, chunk.count)
      if count > 0 {
        bytes.append(contentsOf: chunk[..<count])
      } else if count == 0 || errno != EINTR {
        return String(decoding: bytes, as: UTF8.self)
      }
    }
  }
}
