import Foundation
import Postgres
import TestSupport
import Testing

/// Starts the real programs on a database and collects what they say.
struct Programs {
  struct Ended {
    let status: Int32
    let output: String
    let errors: String
    /// Whether a signal ended it.
    let wasKilled: Bool
  }

  struct Started {
    let process: Process
    let folder: TemporaryDirectory

    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    private func text(_ name: String) -> String {
      (try? String(contentsOfFile: folder.path + "/" + name, encoding: .utf8)) ?? ""
    }

    var errors: String { text("err") }

    /// Waits until the program has said `words` on standard error.
    func says(_ words: String, within limit: Duration = .seconds(30)) async throws {
      let deadline = ContinuousClock.now + limit
      while !errors.contains(words) {
        try #require(ContinuousClock.now < deadline, "never said \(words): \(errors)")
        try await Task.sleep(for: .milliseconds(20))
      }
    }

    /// Waits for the end; a program that takes longer is killed and the test fails.
    func end(within limit: Duration = .seconds(90)) async throws -> Ended {
      let deadline = ContinuousClock.now + limit
      while process.isRunning, ContinuousClock.now < deadline {
        try await Task.sleep(for: .milliseconds(20))
      }
      if process.isRunning {
        signal(SIGKILL)
        Issue.record("\(process.arguments ?? []) did not end: \(errors)")
      }
      process.waitUntilExit()
      return Ended(
        status: process.terminationStatus, output: text("out"), errors: errors,
        wasKilled: process.terminationReason == .uncaughtSignal)
    }
  }

  let url: String

  init(_ address: ClusterAddress) { url = address.url }

  func start(
    _ program: String, _ arguments: [String], environment more: [String: String] = [:]
  ) throws -> Started {
    let folder = try TemporaryDirectory()
    let process = Process()
    process.executableURL = sourceRoot.appendingPathComponent(".build/release/\(program)")
    process.arguments = arguments
    var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("PG") }
    environment["FORECAST_DATABASE_URL"] = url
    environment["FORECAST_MIGRATIONS"] = sourceRoot.appendingPathComponent("migrations").path
    process.environment = environment.merging(more) { _, new in new }
    func file(_ name: String) throws -> FileHandle {
      let path = folder.path + "/" + name
      try Data().write(to: URL(fileURLWithPath: path))
      return try #require(FileHandle(forWritingAtPath: path))
    }
    process.standardOutput = try file("out")
    process.standardError = try file("err")
    process.standardInput = FileHandle.nullDevice
    try process.run()
    return Started(process: process, folder: folder)
  }

  func call(
    _ program: String, _ arguments: String..., environment: [String: String] = [:]
  ) async throws -> Ended {
    try await start(program, arguments, environment: environment).end()
  }
}

/// Waits until a query, asked over a connection of its own, answers true; a server that is away is
/// asked again.
func waitUntil(
  _ sql: String, at address: ClusterAddress, within limit: Duration = .seconds(90)
) async throws {
  let deadline = ContinuousClock.now + limit
  while true {
    let rows = try? ClusterProbe.execute("SELECT (\(sql))::text", at: address)
    if rows == [["true"]] { return }
    try #require(ContinuousClock.now < deadline, "never became true: \(sql)")
    try await Task.sleep(for: .milliseconds(25))
  }
}
