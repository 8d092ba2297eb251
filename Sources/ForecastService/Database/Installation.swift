package import Foundation

/// Where the files that come with the program are: a flag, then an environment variable, then beside
/// the executable (`share/forecast` of an installation, or the source tree it was built in).
package enum Installation {
  package static func migrations(environment: [String: String]) throws -> URL {
    try find(
      "migrations", holding: "0001_roles_and_jobs.sql", variable: "FORECAST_MIGRATIONS",
      environment: environment)
  }

  private static func find(
    _ directory: String, holding file: String, variable: String, environment: [String: String]
  ) throws -> URL {
    if let path = environment[variable] {
      let url = URL(fileURLWithPath: path, isDirectory: true)
      guard FileManager.default.fileExists(atPath: url.appendingPathComponent(file).path) else {
        throw ServiceError(
          .schemaNotReady, "\(variable) is \(path), but there is no \(file) in it")
      }
      return url
    }
    var places: [URL] = []
    var folder = executableDirectory
    for _ in 0..<6 {
      places.append(folder.appendingPathComponent("share/forecast/\(directory)"))
      places.append(folder.appendingPathComponent(directory))
      folder = folder.deletingLastPathComponent()
    }
    for place in places
    where FileManager.default.fileExists(atPath: place.appendingPathComponent(file).path) {
      return place
    }
    throw ServiceError(
      .schemaNotReady,
      "the \(directory) folder is not beside \(executableDirectory.path); name it in \(variable)")
  }

  /// The real directory of this program, links followed.
  package static var executableDirectory: URL {
    let path =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
      ?? CommandLine.arguments.first ?? "."
    return URL(fileURLWithPath: path).resolvingSymlinksInPath().deletingLastPathComponent()
  }
}
