import Privacy
import Training
import Yams

/// The keys under `privacy:`.
enum PrivacySection {
  /// Where the noise goes.
  private enum Mechanism: String, CaseIterable {
    case gradients, correlated, inputs
  }

  private static let common = ["budget", "mechanism", "unit", "epsilon", "delta"]
  private static let ofTraining = [
    "units", "clippingNorm", "clipping", "windowsPerSeries", "blockLength", "block", "history",
  ]
  private static let ofGradients = ["samplingRate", "quantile", "accountant"]
  private static let ofCorrelated = ["bands"]
  private static let ofInputs = ["sensitivity", "slots", "history", "rounded", "nonNegative"]

  private static func keys(of mechanism: Mechanism) -> [String] {
    switch mechanism {
    case .gradients: common + ofTraining + ofGradients
    case .correlated: common + ofTraining + ofCorrelated
    case .inputs: common + ofInputs
    }
  }

  static let keys =
    common + ofTraining + ofGradients + ofCorrelated + ofInputs.filter { $0 != "history" }

  /// - Returns: nil without the section, or when something required is missing; all problems are in the reader.
  static func read(_ node: Node?, _ reader: inout JobNodeReader) -> JobDefinition.Privacy? {
    guard let node, !JobNodeReader.isNull(node),
      let entries = reader.mapping(node, "privacy", keys: keys)
    else { return nil }
    let wanted: Mechanism? = reader.choice(entries["mechanism"], "privacy.mechanism")
    if entries["mechanism"] != nil, wanted == nil { return nil }
    let mechanism = wanted ?? .gradients
    var required = [
      ("budget", "budget: my-account"), ("epsilon", "epsilon: 4"), ("delta", "delta: 1e-6"),
    ]
    switch mechanism {
    case .gradients, .correlated:
      required += [
        ("units", "units: 1000, about how many there are to draw from, as is known publicly")
      ]
    case .inputs:
      required += [
        (
          "sensitivity",
          "sensitivity: 1, the most that one person changes the values of a time slot by (Euclidean norm)"
        ),
        ("slots", "slots: 17520, how many time slots together are to cost epsilon"),
      ]
    }
    for (key, example) in required where entries[key] == nil {
      reader.fail(node, "the key privacy.\(key) is missing; add for example \(example)")
    }
    for key in keys {
      guard let wrong = entries[key], !Self.keys(of: mechanism).contains(key) else { continue }
      let fitting = Mechanism.allCases.filter { Self.keys(of: $0).contains(key) }
      reader.fail(
        wrong,
        "privacy.\(key): has no meaning with mechanism: \(mechanism.rawValue), only with \(fitting.map(\.rawValue).joined(separator: " and "))"
      )
    }
    let budget = entries["budget"].flatMap {
      reader.text($0, "privacy.budget", expected: "the name of an account of the privacy ledger")
    }
    let epsilon = positive(entries, "epsilon", "a number above 0, such as 4", &reader)
    let delta = positive(
      entries, "delta", "a number above 0 and below 1, such as 1e-6", below: 1, &reader)
    guard let budget, let epsilon, let delta else { return nil }
    return mechanism == .inputs
      ? inputs(entries, budget, epsilon, delta, &reader)
      : training(
        entries, mechanism == .gradients ? .gradients : .correlated, budget, epsilon, delta, node,
        &reader)
  }

  private static func positive(
    _ entries: [String: Node], _ key: String, _ expected: String, below: Double = .infinity,
    _ reader: inout JobNodeReader
  ) -> Double? {
    reader.number(entries[key], "privacy.\(key)", expected: expected) {
      $0 > 0 && $0.isFinite && $0 <= below
    }
  }

  private static func training(
    _ entries: [String: Node], _ mechanism: PrivateMechanism, _ budget: String, _ epsilon: Double,
    _ delta: Double, _ node: Node, _ reader: inout JobNodeReader
  ) -> JobDefinition.Privacy? {
    let units = reader.integer(entries["units"], "privacy.units", in: 1...1_000_000_000)
    let rate = positive(
      entries, "samplingRate", "a number above 0 and not above 1, such as 0.05", below: 1, &reader)
    let norm = positive(entries, "clippingNorm", "a number above 0, such as 1", &reader)
    let quantile = positive(
      entries, "quantile", "a number above 0 and below 1, such as 0.5", below: 1, &reader)
    if let unit = entries["unit"], unit.scalar?.string == "person" {
      reader.fail(
        unit,
        "privacy.unit: person is the unit of mechanism: inputs; expected series, block or window")
      return nil
    }
    let unit: PrivacyUnit? = reader.choice(entries["unit"], "privacy.unit")
    let clipping: PrivateClipping? = reader.choice(entries["clipping"], "privacy.clipping")
    let windows = reader.integer(
      entries["windowsPerSeries"], "privacy.windowsPerSeries", in: 1...10_000)
    let block = reader.integer(entries["blockLength"], "privacy.blockLength", in: 2...1_000_000)
    let accountant: AccountantKind? = reader.choice(entries["accountant"], "privacy.accountant")
    let bands = reader.integer(
      entries["bands"], "privacy.bands", in: 1...CorrelatedGaussian.mostBands)
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
    guard let units else { return nil }
    var training = PrivacyConfiguration(
      mechanism: mechanism, unit: unit ?? .series, epsilon: epsilon, delta: delta, units: units,
      samplingRate: rate, clipping: clipping ?? .flat, windowsPerSeries: windows ?? 1,
      blockLength: block, accountant: accountant ?? .pld, bands: bands)
    training.clippingNorm = norm ?? training.clippingNorm
    training.quantile = quantile ?? training.quantile
    return JobDefinition.Privacy(
      budget: budget, training: training, block: period, history: history)
  }

  private static func inputs(
    _ entries: [String: Node], _ budget: String, _ epsilon: Double, _ delta: Double,
    _ reader: inout JobNodeReader
  ) -> JobDefinition.Privacy? {
    if let unit = entries["unit"], unit.scalar?.string != "person" {
      reader.fail(
        unit,
        "privacy.unit: mechanism: inputs protects a person, whose part in the values privacy.sensitivity declares; write unit: person or leave it out"
      )
    }
    let sensitivity = positive(entries, "sensitivity", "a number above 0, such as 1", &reader)
    let slots = reader.integer(entries["slots"], "privacy.slots", in: 1...1_000_000_000)
    let history = reader.integer(entries["history"], "privacy.history", in: 1...1_000_000_000)
    if let history, let slots, history > slots, let node = entries["history"] {
      reader.fail(
        node, "privacy.history: found \(history), expected at most slots, which is \(slots)")
    }
    let rounded = entries["rounded"].flatMap { reader.boolean($0, "privacy.rounded") }
    let nonNegative = entries["nonNegative"].flatMap {
      reader.boolean($0, "privacy.nonNegative")
    }
    guard let sensitivity, let slots else { return nil }
    return JobDefinition.Privacy(
      budget: budget,
      inputs: JobDefinition.InputPrivacy(
        epsilon: epsilon, delta: delta, sensitivity: sensitivity, slots: slots,
        history: history ?? slots, rounded: rounded ?? false, nonNegative: nonNegative ?? false))
  }
}
