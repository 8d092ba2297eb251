import Foundation
import Postgres
import TestSupport
import Testing

@Suite("Parts of the embedded cluster")
struct ClusterPartsTests {
  @Test(
    "the data directory follows FORECAST_DATA_DIR, root, XDG_DATA_HOME, HOME",
    arguments: [
      (["FORECAST_DATA_DIR": "/x"], true, "/x"),
      (["FORECAST_DATA_DIR": "/x", "XDG_DATA_HOME": "/y"], false, "/x"),
      (["XDG_DATA_HOME": "/y", "HOME": "/h"], true, "/var/lib/forecast"),
      (["XDG_DATA_HOME": "/y", "HOME": "/h"], false, "/y/forecast"),
      (["XDG_DATA_HOME": "relative", "HOME": "/h"], false, "/h/.local/share/forecast"),
      (["FORECAST_DATA_DIR": "", "HOME": "/h"], false, "/h/.local/share/forecast"),
    ] as [([String: String], Bool, String)])
  func defaultDirectory(environment: [String: String], isRoot: Bool, expected: String) {
    #expect(
      EmbeddedCluster.defaultDirectory(environment: environment, isRoot: isRoot) == expected)
  }

  @Test("the URL escapes what a URL must")
  func url() {
    let address = ClusterAddress(
      socketDirectory: "/tmp/a b&c", port: 5487, user: "Ann?", database: "my/data")
    #expect(
      address.url == "postgresql:///my/data?host=/tmp/a%20b%26c&port=5487&user=Ann%3F")
  }

  @Test("postmaster.pid is read as the server writes it")
  func postmasterFile() throws {
    let text = "4711\n/d/data\n1763700000\n5487\n/d/run\n\n  5570560         3\nready   \n"
    let file = try #require(PostmasterFile.parse(text))
    #expect(file.pid == 4711)
    #expect(file.startedAt == Date(timeIntervalSince1970: 1_763_700_000))
    #expect(file.port == 5487)
    #expect(file.socketDirectory == "/d/run")
    #expect(file.status == "ready")
    #expect(PostmasterFile.parse("4711")?.status == "")
  }

  @Test("a broken postmaster.pid is no server", arguments: ["", "\n", "abc\n", "-5\n", "0\n"])
  func brokenPostmasterFile(text: String) {
    #expect(PostmasterFile.parse(text) == nil)
  }

  @Test("no other process is taken for a server")
  func strangers() {
    for pid in [getpid(), 1, 4_194_303] {
      #expect(!PostmasterFile.isServer(pid, dataDirectory: "/tmp"))
    }
  }

  /// A folder of programs that only know their version.
  private func fakePrograms(_ folder: String, version: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for name in ["initdb", "postgres"] {
      let script = "#!/bin/sh\necho '\(name) (PostgreSQL) \(version)'\n"
      try Data(script.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
      chmod("\(folder)/\(name)", 0o755)
    }
  }

  @Test("programs: the highest version, the asked version, the forced folder, then PATH")
  func programs() throws {
    let temporary = try TemporaryDirectory()
    defer { temporary.remove() }
    let root = temporary.path
    for version in [9, 14, 16, 17] {
      try fakePrograms("\(root)/lib/\(version)/bin", version: "\(version).3")
    }
    try fakePrograms("\(root)/own", version: "18beta1 (Debian 18~beta1)")
    let folders = ["\(root)/lib/*/bin"]
    func locate(_ environment: [String: String] = [:], major: Int? = nil) throws -> ClusterPrograms
    {
      try ClusterPrograms.locate(environment: environment, major: major, folders: folders)
    }
    #expect(try locate().major == 17)
    #expect(try locate(major: 16).directory == "\(root)/lib/16/bin")
    let forced = ["FORECAST_PG_BIN": "\(root)/own", "PATH": "/usr/bin"]
    #expect(try locate(forced).directory == "\(root)/own")
    #expect(try locate(forced).major == 18)
    #expect(
      try ClusterPrograms.locate(environment: ["PATH": "\(root)/none:\(root)/own"], folders: [])
        .major == 18)

    func code(_ body: () throws -> ClusterPrograms) -> ClusterError.Code? {
      do {
        _ = try body()
        return nil
      } catch {
        return (error as? ClusterError)?.code
      }
    }
    #expect(code { try locate(major: 15) } == .versionMismatch)
    #expect(code { try locate(forced, major: 17) } == .versionMismatch)
    #expect(code { try locate(["FORECAST_PG_BIN": "\(root)/none"]) } == .programsMissing)
    #expect(
      code { try ClusterPrograms.locate(environment: [:], folders: ["\(root)/lib/14/bin"]) }
        == .programsMissing)
    #expect(
      code { try ClusterPrograms.locate(environment: ["PATH": root], folders: []) }
        == .programsMissing)
  }

  @Test("a child inherits neither descriptors nor ignored signals, and its output comes whole")
  func childProcess() throws {
    let descriptor = open("/dev/null", O_RDONLY)
    defer { close(descriptor) }
    signal(SIGUSR2, SIG_IGN)
    defer { signal(SIGUSR2, SIG_DFL) }
    let outcome = try ChildProcess.run(
      [
        "/bin/sh", "-c",
        "ls /proc/self/fd | wc -l; grep SigIgn /proc/self/status; echo e >&2; exit 7",
      ],
      environment: ["PATH": "/usr/bin:/bin"])
    #expect(outcome.status == 7)
    let lines = outcome.output.split(separator: "\n")
    // 0, 1, 2 and the one ls itself opens.
    #expect(lines.first == "4")
    #expect(lines.last == "e")
    // 32 and 33 belong to the C library.
    let ignored = lines.dropFirst().first?.split(separator: "\t").last.flatMap {
      UInt64($0, radix: 16)
    }
    #expect(try #require(ignored) & 0x7fff_ffff == 0)
    let killed = try ChildProcess.run(["/bin/sh", "-c", "kill -9 $$"], environment: [:])
    #expect(killed.status == 128 + 9)
    #expect(throws: ClusterError.self) {
      try ChildProcess.run(["/nowhere/program"], environment: [:])
    }
  }
}
