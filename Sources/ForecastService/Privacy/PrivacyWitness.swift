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
      self.digest = PrivacyWitness.hexadecimal(digest)
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

  /// The file that `FORECAST_PRIVACY_WITNESS` names; nil where the variable is not set.
  package init?(environment: [String: String]) {
    guard let path = environment["FORECAST_PRIVACY_WITNESS"], !path.isEmpty else { return nil }
    self.init(file: URL(fileURLWithPath: path))
  }

  /// - Throws: `ServiceError.privacyWitness` when the database knows less than this machine, or the file
  ///   cannot be read.
  func check(_ budget: PrivacyBudget, _ charges: [ListBudgetCharges.Row]) throws {
    guard let mark = try read().marks[budget.key.uuidString] else { return }
    let inPlace = charges.first { $0.number == mark.number }.map { Self.hexadecimal($0.digest) }
    if let fault = Self.fault(mark, inPlace: inPlace, known: charges.count) {
      throw ServiceError(
        .privacyWitness,
        "\(fault). Nothing was charged and nothing read: open another account for what \(mark.spent) leaves of \(budget.epsilonLimit) (docs/privacy.md, After a restore)"
      )
    }
  }

  /// What this machine knows better, one sentence for each budget.
  func faults(
    _ budgets: [ListPrivacy.Row], _ charges: [ListPrivacyCharges.Row]
  ) throws -> [String] {
    let marks = try read().marks
    return budgets.compactMap { budget in
      guard let mark = marks[budget.key.uuidString] else { return nil }
      let own = charges.filter { $0.account == budget.account && $0.block == budget.block }
      return Self.fault(
        mark, inPlace: own.first { $0.number == mark.number }?.digest, known: own.count)
    }
  }

  private static func fault(_ mark: Mark, inPlace digest: String?, known: Int) -> String? {
    if digest == mark.digest { return nil }
    return """
      privacy account \(mark.account), block \(mark.block): this machine has seen charge \(mark.number), which brought \
      epsilon to \(mark.spent); the database \(digest == nil ? "knows of \(known) charges" : "has another one in its place"): \
      it was restored from an older copy
      """
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { String(format: "%02x", $0) }.joined()
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
