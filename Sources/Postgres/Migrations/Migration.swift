import Crypto
package import Foundation

/// One file `NNNN_what.sql`.
package struct Migration: Sendable, Hashable {
  package let number: Int
  /// The file's name without `.sql`, for instance `0001_jobs`.
  package let name: String
  package let sql: String
  /// SHA-256 of the file's bytes, in hexadecimal.
  package let digest: String
  /// False when line 1 is `-- no-transaction`: each statement then runs by itself, and the file must bear being run
  /// again from its start.
  package let isTransactional: Bool

  package init(number: Int, name: String, contents: Data) throws {
    self.number = number
    self.name = name
    guard let sql = String(data: contents, encoding: .utf8) else {
      throw PostgresError(.migrationInvalid, "migration \(name) is not UTF-8 text")
    }
    self.sql = sql
    digest = SHA256.hash(data: contents).map { byte in
      let text = String(byte, radix: 16)
      return byte < 16 ? "0" + text : text
    }.joined()
    let first = sql.prefix { $0 != "\n" && $0 != "\r\n" }
    isTransactional = first.trimmingCharacters(in: .whitespaces) != "-- no-transaction"
  }

  /// Reads every `.sql` file of a directory, in the order of their numbers.
  ///
  /// - Throws: `migrationInvalid` naming the file or number: a name that is not `NNNN_what.sql`, a number twice, a gap
  ///   (numbers run from 1), an unreadable file, no file at all.
  package static func load(from directory: URL) throws -> [Migration] {
    let files: [URL]
    do {
      files = try FileManager.default.contentsOfDirectory(
        at: directory, includingPropertiesForKeys: nil
      ).filter { $0.pathExtension == "sql" }
    } catch {
      throw PostgresError(
        .migrationInvalid, "the directory of migrations \(directory.path) cannot be read")
    }
    var migrations: [Migration] = []
    for file in files.sorted(by: { $0.lastPathComponent < $1.lastPathComponent }) {
      let name = file.deletingPathExtension().lastPathComponent
      guard name.wholeMatch(of: /[0-9]{4}_[a-z0-9_]+/) != nil, let number = Int(name.prefix(4))
      else {
        throw PostgresError(
          .migrationInvalid,
          "migration \(file.lastPathComponent) is not named NNNN_what.sql, in lower case")
      }
      guard let contents = try? Data(contentsOf: file) else {
        throw PostgresError(.migrationInvalid, "migration \(name) cannot be read")
      }
      migrations.append(try Migration(number: number, name: name, contents: contents))
    }
    guard !migrations.isEmpty else {
      throw PostgresError(
        .migrationInvalid, "there are no migrations in \(directory.path)")
    }
    for (index, migration) in migrations.enumerated() where migration.number != index + 1 {
      if index > 0, migrations[index - 1].number == migration.number {
        throw PostgresError(
          .migrationInvalid,
          "migrations \(migrations[index - 1].name) and \(migration.name) have the same number")
      }
      throw PostgresError(
        .migrationInvalid,
        "expected migration number \(index + 1), found \(migration.name)")
    }
    return migrations
  }
}

/// Cuts a script into its statements, as `psql` does: at semicolons outside quotes, dollar quotes and comments.
enum SQLScript {
  static func statements(_ script: String) -> [String] {
    let bytes = Array(script.utf8)
    var statements: [String] = []
    var start = 0
    var index = 0
    var hasText = false

    func at(_ offset: Int) -> UInt8 { offset < bytes.count ? bytes[offset] : 0 }
    func isWord(_ byte: UInt8) -> Bool {
      byte == UInt8(ascii: "_") || byte >= 128 || (byte | 32 >= 97 && byte | 32 <= 122)
        || (byte >= 48 && byte <= 57)
    }
    func close(_ end: Int) {
      if hasText { statements.append(String(decoding: bytes[start..<end], as: UTF8.self)) }
      hasText = false
    }

    while index < bytes.count {
      let byte = bytes[index]
      switch byte {
      case UInt8(ascii: "-") where at(index + 1) == UInt8(ascii: "-"):
        while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
      case UInt8(ascii: "/") where at(index + 1) == UInt8(ascii: "*"):
        var depth = 0
        repeat {
          if at(index) == UInt8(ascii: "/"), at(index + 1) == UInt8(ascii: "*") {
            depth += 1
            index += 2
          } else if at(index) == UInt8(ascii: "*"), at(index + 1) == UInt8(ascii: "/") {
            depth -= 1
            index += 2
          } else {
            index += 1
          }
        } while depth > 0 && index < bytes.count
      case UInt8(ascii: "'"), UInt8(ascii: "\""):
        hasText = true
        // E'…' knows backslashes.
        let escapes =
          byte == UInt8(ascii: "'") && index > 0 && bytes[index - 1] | 32 == UInt8(ascii: "e")
          && (index < 2 || !isWord(bytes[index - 2]))
        index += 1
        while index < bytes.count, bytes[index] != byte {
          index += escapes && bytes[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        index += 1
      case UInt8(ascii: "$") where index == 0 || !isWord(bytes[index - 1]):
        hasText = true
        var end = index + 1
        while isWord(at(end)) { end += 1 }
        guard at(end) == UInt8(ascii: "$"), !(at(index + 1) >= 48 && at(index + 1) <= 57) else {
          index += 1
          continue
        }
        let tag = bytes[index...end]
        index = end + 1
        while index < bytes.count, !bytes[index...].starts(with: tag) { index += 1 }
        index += tag.count
      case UInt8(ascii: ";"):
        close(index)
        index += 1
        start = index
      default:
        if byte > 32 { hasText = true }
        index += 1
      }
    }
    close(bytes.count)
    return statements
  }
}
