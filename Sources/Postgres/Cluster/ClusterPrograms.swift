import Foundation

/// The PostgreSQL server programs of one major version on this machine.
package struct ClusterPrograms: Sendable, Equatable {
  /// The folder that holds `initdb` and `postgres`.
  package let directory: String
  package let major: Int

  /// The path of a program of this version (`psql`, `pg_dump`); looked up on `PATH` where the
  /// folder does not have it, `nil` where neither does.
  package func path(_ program: String, environment: [String: String]) -> String? {
    ([directory] + Self.searchPath(environment))
      .map { $0 + "/" + program }
      .first { access($0, X_OK) == 0 }
  }

  var initdb: String { directory + "/initdb" }
  var postgres: String { directory + "/postgres" }

  /// The oldest version the client and the schema are written for.
  package static let minimumMajor = 15

  /// Folders of distributions that keep several versions side by side; `*` stands for the version.
  package static let standardFolders = [
    "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/lib/postgresql*/bin",
    "/usr/libexec/postgresql*",
  ]

  /// Finds the programs: `FORECAST_PG_BIN` alone when it is set, else the highest version in the
  /// distribution's folders, else `PATH`.
  /// - Parameter major: the version an existing data directory needs. It is preferred over a higher
  ///   one; when it is absent, the error names both versions.
  package static func locate(
    environment: [String: String], major wanted: Int? = nil,
    folders: [String] = standardFolders
  ) throws -> ClusterPrograms {
    var found: [ClusterPrograms] = []
    if let folder = environment["FORECAST_PG_BIN"], !folder.isEmpty {
      guard let programs = inspect(folder) else {
        throw ClusterError(
          .programsMissing,
          "FORECAST_PG_BIN is \(folder), which holds no working initdb and postgres: point it to "
            + "the bin folder of a PostgreSQL server, or unset it.")
      }
      found = [programs]
    } else {
      found = folders.flatMap(expand).filter(holdsServer)
        .compactMap { folder in
          version(inPath: folder).map { ClusterPrograms(directory: folder, major: $0) }
            ?? inspect(folder)
        }
        .sorted { $0.major > $1.major }
      if found.isEmpty { found = searchPath(environment).lazy.compactMap(inspect).prefix(1) + [] }
    }
    guard let highest = found.first else {
      throw ClusterError(
        .programsMissing,
        "No PostgreSQL server programs on this machine: install the package postgresql "
          + "(apt-get install postgresql), set FORECAST_PG_BIN to a folder that holds initdb and "
          + "postgres, or name a database of your own in FORECAST_DATABASE_URL.")
    }
    guard let wanted else {
      guard highest.major >= minimumMajor else {
        throw ClusterError(
          .programsMissing,
          "PostgreSQL \(minimumMajor) or newer is needed, and \(highest.directory) is version "
            + "\(highest.major): install a newer package postgresql, or set FORECAST_PG_BIN.")
      }
      return highest
    }
    guard let match = found.first(where: { $0.major == wanted }) else {
      throw ClusterError(
        .versionMismatch,
        "The cluster was made by PostgreSQL \(wanted), but the programs here are version "
          + "\(found.map { String($0.major) }.joined(separator: ", ")) (\(highest.directory)): "
          + "install postgresql-\(wanted), or set FORECAST_PG_BIN to its bin folder.")
    }
    return match
  }

  private static func searchPath(_ environment: [String: String]) -> [String] {
    (environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":").map(String.init)
  }

  private static func holdsServer(_ folder: String) -> Bool {
    access(folder + "/postgres", X_OK) == 0 && access(folder + "/initdb", X_OK) == 0
  }

  /// The folder behind the link of `postgres`, with the version that program states.
  private static func inspect(_ folder: String) -> ClusterPrograms? {
    guard holdsServer(folder) else { return nil }
    let program = folder + "/postgres"
    guard
      let outcome = try? ChildProcess.run([program, "--version"], environment: ["LC_ALL": "C"]),
      outcome.status == 0,
      // "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)", "postgres (PostgreSQL) 18beta1"
      let word = outcome.output.split(separator: " ").first(where: { $0.first?.isNumber == true }),
      let major = Int(word.prefix { $0.isNumber })
    else { return nil }
    let resolved = URL(fileURLWithPath: program).resolvingSymlinksInPath()
      .deletingLastPathComponent().path
    return ClusterPrograms(directory: holdsServer(resolved) ? resolved : folder, major: major)
  }

  private static func version(inPath folder: String) -> Int? {
    folder.split(separator: "/").compactMap { part in
      Int(part.drop { !$0.isNumber })
    }.last
  }

  /// Expands the one path component with `*`.
  private static func expand(_ pattern: String) -> [String] {
    var result = glob_t()
    defer { globfree(&result) }
    guard glob(pattern, 0, nil, &result) == 0 else { return [] }
    return (0..<Int(result.gl_pathc)).compactMap { index in
      result.gl_pathv[index].map { String(cString: $0) }
    }
  }
}
