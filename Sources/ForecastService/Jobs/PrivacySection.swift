import Privacy
import Training
import Yams

/// The keys under `privacy:`.
enum PrivacySection {
  static let keys = [
    "budget", "unit", "epsilon", "delta", "units", "samplingRate", "clippingNorm", "clipping",
    "windowsPerSeries", "blockLength", "quantile", "accountant",
    "block", "history",
  ]

  /// - Returns: nil without the section, or when something required is missing; all problems are in the reader.
  static func read(_ node: Node?, _ reader: inout JobNodeReader) -> JobDefinition.Privacy? {
    guard let node, !JobNodeReader.isNull(node),
      let entries = reader.mapping(node, "privacy", keys: keys)
    else { return nil }
    for (key, example) in [
      ("budget", "budget: my-account"), ("epsilon", "epsilon: 4"), ("delta", "delta: 1e-6"),
      ("units", "units: 1000, about how many there are to draw from, as is known publicly"),
    ] where entries[key] == nil {
      reader.fail(node, "the key privacy.\(key) is missing; add for example \(example)")
    }
    let budget = entries["budget"].flatMap {
      reader.text($0, "privacy.budget", expected: "the name of an account of the privacy ledger")
    }
    func positive(_ key: String, _ expected: String, below: Double = .infinity) -> Double? {
      reader.number(entries[key], "privacy.\(key)", expected: expected) {
        $0 > 0 && $0.isFinite && $0 <= below
      }
    }
    let epsilon = positive("epsilon", "a number above 0, such as 4")
    let delta = positive("delta", "a number above 0 and below 1, such as 1e-6", below: 1)
    let units = reader.integer(entries["units"], "privacy.units", in: 1...1_000_000_000)
    let rate = positive("samplingRate", "a number above 0 and not above 1, such as 0.05", below: 1)
    let norm = positive("clippingNorm", "a number above 0, such as 1")
    let quantile = positive("quantile", "a number above 0 and below 1, such as 0.5", below: 1)
    let unit: PrivacyUnit? = reader.choice(entries["unit"], "privacy.unit")
    let clipping: PrivateClipping? = reader.choice(entries["clipping"], "privacy.clipping")
    let windows = reader.integer(
      entries["windowsPerSeries"], "privacy.windowsPerSeries", in: 1...10_000)
    let block = reader.integer(entries["blockLength"], "privacy.blockLength", in: 2...1_000_000)
    let accountant: AccountantKind? = reader.choice(entries["accountant"], "privacy.accountant")
    if entries["quantile"] != nil, clipping != .adaptive, let wrong = entries["quantile"] {
      reader.fail(wrong, "privacy.quantile: needs clipping: adaptive")
    }
    let period: BlockPeriod? = reader.choice(entries["block"], "privacy.block")
    let history = reader.integer(
      entries["history"], "privacy.history", in: 1...PrivacyScope.History.mostBlocks)
    if (entries["block"] == nil) != (entries["history"] == nil) {
      reader.fail(
        node,
        "privacy.block and privacy.history go together: block: month with history: 6 trains on the month of the cutoff and the five before"
      )
    }
    guard let budget, let epsilon, let delta, let units else { return nil }
    var training = PrivacyConfiguration(
      unit: unit ?? .series, epsilon: epsilon, delta: delta, units: units, samplingRate: rate,
      clipping: clipping ?? .flat, windowsPerSeries: windows ?? 1, blockLength: block,
      accountant: accountant ?? .pld)
    training.clippingNorm = norm ?? training.clippingNorm
    training.quantile = quantile ?? training.quantile
    return JobDefinition.Privacy(
      budget: budget, training: training, block: period, history: history)
  }
}
