package import Foundation

/// What a machine remembers of the ledger outside of the database: the last charge of every budget.
///
/// A database restored from a back-up has forgotten charges, and would admit them again. A ledger with a witness
/// refuses to charge a budget that has fewer charges than the machine has seen, or others in their place.
/// The file holds names of accounts, numbers and digests, nothing else. Marks never go back.
package struct PrivacyWitness: Sendable {
  struct Mark: Codable, Sendable, Equatable {
    let account: String
    let block: String
    /// Of the last charge seen.
    let number: Int
    let spent: EpsilonAmount
    /// In hexadecimal; see `forecast.privacy_charge.digest`.
    let digest: String

    init(_ budget: PrivacyBudget, number: Int, spent: EpsilonAmount, digest: [UInt8]) {
      account = budget.account
      block = budget.block
      self.number = number
      self.spent = spent
      self.digest = digest.map { String(format: "%02x", $0) }.joined()
    }
  }

  private struct Contents: Codable {
    var version = 1
    /// By `budget_key`.
    var marks: [String: Mark] = [:]
  }

  private let file: URL

  /// - Parameter file: made when the first charge is recorded; its folder must exist.
  package init(file: URL) { self.file = file }

  /// - Throws: `ServiceError.privacyWitness` when the database knows less than this machine, or the file
  ///   cannot be read.
  func check(_ budget: PrivacyBudget, _ charges: [ListBudgetCharges.Row]) throws {
    guard let mark = try read().marks[budget.key.uuidString] else { return }
    let inPlace = charges.first { $0.number == mark.number }
    if let inPlace,
      mark
        == Mark(budget, number: mark.number, spent: inPlace.composed, digest: inPlace.digest)
    {
      return
    }
    throw ServiceError(
      .privacyWitness,
      """
      privacy \(budget.label): this machine has seen charge \(mark.number), which brought epsilon to \(mark.spent); the \
      database \(inPlace == nil ? "knows of \(charges.count) charges" : "has another one in its place"). It was restored \
      from an older copy. Nothing was charged and nothing read: open another account for what \(mark.spent) leaves of \
      \(budget.epsilonLimit) (docs/privacy.md, After a restore)
      """)
  }

  /// Remembers charges that are committed; an older one than known changes nothing.
  ///
  /// - Throws: `ServiceError.privacyWitness` when the file cannot be written.
  func record(_ marks: [(budget: PrivacyBudget, mark: Mark)]) throws {
    guard !marks.isEmpty else { return }
    try locked {
      var contents = try read()
      for (budget, mark) in marks {
        let known = contents.marks[budget.key.uuidString]
        if known.map({ $0.number < mark.number }) ?? true {
          contents.marks[budget.key.uuidString] = mark
        }
      }
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
      do {
        try encoder.encode(contents).write(to: file, options: .atomic)
      } catch {
        throw unusable("cannot be written: \(error.localizedDescription)")
      }
    }
  }

  private func read() throws -> Contents {
    guard FileManager.default.fileExists(atPath: file.path) else { return Contents() }
    do {
      return try JSONDecoder().decode(Contents.self, from: Data(contentsOf: file))
    } catch {
      throw unusable("cannot be read: \(error.localizedDescription)")
    }
  }

  /// One process at a time reads and replaces the file.
  private func locked(_ body: () throws -> Void) throws {
    let descriptor = open(file.path + ".lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    guard descriptor >= 0, flock(descriptor, LOCK_EX) == 0 else {
      throw unusable("cannot be locked: \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    try body()
  }

  private func unusable(_ why: String) -> ServiceError {
    ServiceError(
      .privacyWitness, "the record of privacy charges \(file.path) \(why); mend or move it")
  }
}

extension EpsilonAmount: Codable {
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let amount = EpsilonAmount(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "expected a number with at most twelve decimals")
    }
    self = amount
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
