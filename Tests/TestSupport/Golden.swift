package import Foundation

/// Reads expected values from the folder `Golden` of the calling test target.
package enum Golden {
  package struct Missing: Error, CustomStringConvertible {
    package let name: String
    package let directory: String
    package var description: String {
      "No Golden/\(name) in \(directory) or above it: make it with the script of that target"
    }
  }

  /// Decodes `Golden/name`, a JSON file.
  package static func json<Value: Decodable>(
    _ name: String, as type: Value.Type = Value.self, file: StaticString = #filePath
  ) throws -> Value {
    try JSONDecoder().decode(type, from: data(name, file: file))
  }

  package static func text(_ name: String, file: StaticString = #filePath) throws -> String {
    String(decoding: try data(name, file: file), as: UTF8.self)
  }

  /// Looks beside the calling file, then upwards as far as `Tests`.
  package static func data(_ name: String, file: StaticString = #filePath) throws -> Data {
    let start = URL(fileURLWithPath: "\(file)").deletingLastPathComponent()
    var folder = start
    while folder.path != "/", folder.lastPathComponent != "Tests" {
      let candidate = folder.appendingPathComponent("Golden/\(name)")
      if FileManager.default.fileExists(atPath: candidate.path) {
        return try Data(contentsOf: candidate)
      }
      folder.deleteLastPathComponent()
    }
    throw Missing(name: name, directory: start.path)
  }
}
