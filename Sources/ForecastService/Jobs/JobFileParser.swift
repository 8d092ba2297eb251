import Foundation
import Yams

/// Reads job files: YAML in, a complete ``JobDefinition`` or every problem with its line out.
package enum JobFileParser {
  /// Larger files are refused unread.
  static let largestFile = 1 << 20
  /// Files with more aliases are refused before they are composed: keys are compared by value, and
  /// values of aliases of aliases grow like 3 to the power of a third of this number.
  static let mostAliases = 16

  /// - Parameter file: what messages call the file.
  /// - Throws: `JobFileError` with all problems of the file.
  package static func parse(_ text: String, file: String) throws(JobFileError) -> JobFile {
    let text = text.replacing("\r\n", with: "\n")
    guard text.utf8.count <= largestFile else {
      throw JobFileError(
        file: file,
        problems: [JobProblem(line: 1, column: 1, "the file is larger than 1 MB; no job file is")])
    }
    if let problem = tooManyAliases(text) { throw JobFileError(file: file, problems: [problem]) }
    let root: Node?
    do {
      root = try Yams.compose(yaml: text)
    } catch {
      throw JobFileError(file: file, problems: [broken(error)])
    }
    guard let root, !JobNodeReader.isNull(root) else {
      throw JobFileError(
        file: file,
        problems: [
          JobProblem(line: 1, column: 1, "the file is empty, expected a job; begin with job: NAME")
        ]
      )
    }
    var reader = JobNodeReader(text: text)
    let definition = JobFileSections.read(root, &reader)
    guard let definition, reader.problems.isEmpty else {
      throw JobFileError(
        file: file,
        problems: reader.problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) })
    }
    return JobFile(
      file: file, text: text, definition: definition, warnings: reader.warnings,
      nameLine: root.mapping?["job"]?.mark?.line ?? 1)
  }

  /// The first alias beyond the limit. An alias counts wherever it stands, also in a comment; it has
  /// to name an anchor of the file, as the multiplications of an SQL query do not.
  private static func tooManyAliases(_ text: String) -> JobProblem? {
    let bytes = Array(text.utf8)
    func isName(_ byte: UInt8) -> Bool {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    func name(after sign: Int) -> ArraySlice<UInt8> { bytes[(sign + 1)...].prefix(while: isName) }
    let anchors = Set(bytes.indices.filter { bytes[$0] == UInt8(ascii: "&") }.map(name(after:)))
    guard !anchors.isEmpty else { return nil }
    let aliases = bytes.indices.filter {
      bytes[$0] == UInt8(ascii: "*") && isName(bytes[min($0 + 1, bytes.count - 1)])
        && anchors.contains(name(after: $0))
    }
    guard aliases.count > mostAliases else { return nil }
    let place = aliases[mostAliases]
    let before = bytes[..<place]
    let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    return JobProblem(
      line: 1 + before.count { $0 == UInt8(ascii: "\n") },
      column: 1 + String(decoding: before[start...], as: UTF8.self).count,
      "found \(aliases.count) aliases, expected at most \(mostAliases); write the values out where *\(String(decoding: name(after: place), as: UTF8.self)) stands"
    )
  }

  /// YAML that is no YAML, or no single document.
  private static func broken(_ error: any Error) -> JobProblem {
    func problem(_ mark: Mark, _ text: String) -> JobProblem {
      JobProblem(line: max(1, mark.line), column: max(1, mark.column), text)
    }
    switch error as? YamlError {
    case .composer(_, "but found another document", let mark, _)?:
      return problem(mark, "a second document begins here, expected one job; give it its own file")
    case .scanner(let context, let what, let mark, _)?,
      .parser(let context, let what, let mark, _)?,
      .composer(let context, let what, let mark, _)?:
      let around = context.map {
        ", \($0.text.trimmingCharacters(in: .whitespaces)) in line \($0.mark.line)"
      }
      return problem(
        mark,
        "broken YAML: \(what)\(around ?? ""); check indentation, quotes and brackets before this place"
      )
    case .duplicatedKeysInMapping(let keys, let context)?:
      let names = keys.map { "\"\($0)\"" }.joined(separator: ", ")
      return problem(
        context.mark, "the key \(names) is written more than once in one mapping; keep one")
    case .reader(let what, let offset, _, let yaml)?:
      let before = yaml.prefix(offset ?? 0)
      return JobProblem(
        line: 1 + before.count { $0 == "\n" },
        column: 1 + before.reversed().prefix { $0 != "\n" }.count,
        "broken YAML: \(what); remove the character here or write it as an escape in double quotes")
    default:
      return JobProblem(line: 1, column: 1, "broken YAML: \(error)")
    }
  }

  /// Reads one file, or all `*.yaml` and `*.yml` of a directory in order of their names.
  ///
  /// - Throws: `JobFilesError` with the problems of all files: unreadable ones, wrong ones, and jobs of
  ///   the same name in two.
  package static func load(path: String) throws(JobFilesError) -> [JobFile] {
    try load(paths: [path])
  }

  /// As `load(path:)` for several files and directories together; a file named twice is read once.
  package static func load(paths given: [String]) throws(JobFilesError) -> [JobFile] {
    var files: [JobFile] = []
    var errors: [JobFileError] = []
    var all: [String] = []
    for path in given {
      do {
        all += try paths(path)
      } catch {
        errors += error.files
      }
    }
    var seen: Set<String> = []
    for path in all
    where seen.insert(URL(filePath: path).resolvingSymlinksInPath().path).inserted {
      do throws(JobFileError) {
        files.append(try parse(try read(path), file: path))
      } catch {
        errors.append(error)
      }
    }
    var first: [String: JobFile] = [:]
    for file in files {
      let name = file.definition.job
      if let other = first[name] {
        errors.append(
          JobFileError(
            file: file.file,
            problems: [
              JobProblem(
                line: file.nameLine, column: 1,
                "the job \"\(name)\" is also in \(other.file):\(other.nameLine); rename one of them"
              )
            ]))
      } else {
        first[name] = file
      }
    }
    if !errors.isEmpty { throw JobFilesError(files: errors) }
    return files
  }

  private static func paths(_ path: String) throws(JobFilesError) -> [String] {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw refusal(path, "there is no such file or directory")
    }
    guard isDirectory.boolValue else { return [path] }
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else {
      throw refusal(path, "the directory cannot be read; check its permissions")
    }
    let found = names.filter {
      ($0.hasSuffix(".yaml") || $0.hasSuffix(".yml")) && !$0.hasPrefix(".")
    }.sorted()
    guard !found.isEmpty else {
      throw refusal(path, "the directory holds no *.yaml file, expected one for each job")
    }
    let prefix = path.hasSuffix("/") ? path : path + "/"
    return found.map { prefix + $0 }
  }

  private static func refusal(_ path: String, _ message: String) -> JobFilesError {
    JobFilesError(files: [
      JobFileError(file: path, problems: [JobProblem(line: 1, column: 1, message)])
    ])
  }

  private static func read(_ path: String) throws(JobFileError) -> String {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw JobFileError(
        file: path,
        problems: [
          JobProblem(line: 1, column: 1, "the file cannot be read; check its permissions")
        ])
    }
    guard let text = String(validating: data, as: UTF8.self) else {
      throw JobFileError(
        file: path,
        problems: [JobProblem(line: 1, column: 1, "the file is not UTF-8; save it as UTF-8")])
    }
    return text
  }
}
