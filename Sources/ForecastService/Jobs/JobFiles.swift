import Foundation

/// Finds and reads job files on disk.
package enum JobFiles {
  /// Reads files and directories (their `*.yaml` and `*.yml`, sorted, not recursive).
  ///
  /// - Throws: `JobFilesError` with the problems of all files: nothing is returned unless all are right.
  package static func load(_ paths: [String]) throws -> [JobFile] {
    var failures: [JobFileError] = []
    var files: [JobFile] = []
    for path in paths {
      do {
        for file in try expand(path) {
          do {
            files.append(try read(file))
          } catch {
            failures.append(error)
          }
        }
      } catch {
        failures.append(error)
      }
    }
    var firstOf: [String: JobFile] = [:]
    for file in files {
      if let other = firstOf[file.definition.job] {
        failures.append(
          JobFileError(
            file: file.file,
            problems: [
              JobProblem(
                line: file.nameLine, column: 1,
                "the job \"\(file.definition.job)\" is already defined in \(other.file):\(other.nameLine); names are unique, rename one"
              )
            ]))
      } else {
        firstOf[file.definition.job] = file
      }
    }
    guard failures.isEmpty else { throw JobFilesError(files: failures) }
    return files
  }

  private static func expand(_ path: String) throws(JobFileError) -> [String] {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw failure(path, "there is no such file or directory")
    }
    guard isDirectory.boolValue else { return [path] }
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path)
    } catch {
      throw failure(path, "the directory cannot be read (\(error.localizedDescription))")
    }
    let found = names.filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }.sorted()
    if found.isEmpty { throw failure(path, "there is no *.yaml file in this directory") }
    let base = path.hasSuffix("/") ? String(path.dropLast()) : path
    return found.map { "\(base)/\($0)" }
  }

  private static func read(_ path: String) throws(JobFileError) -> JobFile {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      throw failure(path, "the file cannot be read (\(error.localizedDescription))")
    }
    guard let text = String(validating: data, as: UTF8.self) else {
      throw failure(path, "the file is not UTF-8 text")
    }
    return try JobFileParser.parse(text, file: path)
  }

  private static func failure(_ file: String, _ message: String) -> JobFileError {
    JobFileError(file: file, problems: [JobProblem(line: 1, column: 1, message)])
  }
}
