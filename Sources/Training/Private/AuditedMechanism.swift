import Privacy

/// What an audit has to know of how batches and noise of a training are made.
protocol AuditedMechanism {
  /// Independent noise's standard deviation, in clipping norms.
  var noiseMultiplier: Double { get }
  /// Mix the noises of steps such that they are independent.
  var coefficients: [Double] { get }
  /// The step of a cycle in which a canary takes part; nil where it is drawn.
  func phase(of canary: Int) -> Int?
  /// A step begins; canaries that are in the data are the records after those of the panel.
  mutating func add(batch: [Int])
  /// The logarithm of the likelihood ratio of a canary's being in the data, by what its coordinate shows in this
  /// step, mixed, in standard deviations of the noise.
  func loss(at shown: Double, of canary: Int) -> Double
  /// What was found out about the batches.
  var finding: PrivateAudit.Finding { get }
}

/// Batches are sampled and noises independent.
struct AuditedSampling: AuditedMechanism {
  private let claim: SubsampledGaussian
  private var check: SamplingCheck

  /// - Parameter records: of the panel and of the canaries in the data.
  init(_ claim: SubsampledGaussian, records: Int) {
    self.claim = claim
    check = SamplingCheck(records: records, samplingRate: claim.samplingRate)
  }

  var noiseMultiplier: Double { claim.noiseMultiplier }
  var coefficients: [Double] { [1] }
  func phase(of canary: Int) -> Int? { nil }
  mutating func add(batch: [Int]) { check.add(batch) }
  func loss(at shown: Double, of canary: Int) -> Double { claim.loss(at: shown) }

  var finding: PrivateAudit.Finding {
    let faults = check.faults
    return PrivateAudit.Finding(
      .sampling, isRight: faults.isEmpty,
      (faults.isEmpty ? Array(check.counts.prefix(1)) : faults).map {
        "\($0.observed) \($0.name), expected \(PrivateAudit.Finding.number($0.expected))"
      }.joined(separator: "; "))
  }
}

/// Units take turns, and noises of steps are correlated.
///
/// What is released is `C x + z`. A canary that is in the data adds its column of C to it, at its coordinate: how far
/// what is seen goes along that column is all that there is to know (the matched filter).
struct AuditedTurns: AuditedMechanism {
  private let claim: CorrelatedGaussian
  let coefficients: [Double]
  /// Of each canary, in the data or not.
  private let phases: [Int]
  private var check: ParticipationCheck
  /// Whether a unit's turn is up to that unit alone.
  private let isOwn: Bool
  private var rows: ToeplitzRows
  /// What each canary adds to this step's row, in standard deviations of the noise.
  private var signals: [Double] = []
  private var steps = 0

  /// - Parameters:
  ///   - records: of the panel and of the canaries in the data.
  ///   - isOwn: whether units had the same turns with one unit less.
  /// - Throws: `PrivacyError`.
  init(_ claim: CorrelatedGaussian, canaries: Int, records: Int, isOwn: Bool) throws {
    self.claim = claim
    self.isOwn = isOwn
    coefficients = try claim.strategy.coefficients
    check = ParticipationCheck(records: records, try claim.participation)
    rows = ToeplitzRows(coefficients)
    // Turns that come as often as any: whoever chose the data would give units the names for them.
    let often = (claim.steps - 1) % claim.cycle + 1
    phases = (0..<canaries).map { $0 % often }
  }

  var noiseMultiplier: Double { claim.noiseMultiplier }
  func phase(of canary: Int) -> Int? { phases[canary] }

  mutating func add(batch: [Int]) {
    check.add(batch)
    let turn = steps % claim.cycle
    signals = rows.next(phases.map { $0 == turn ? 1 / claim.noiseMultiplier : 0 })
    steps += 1
  }

  func loss(at shown: Double, of canary: Int) -> Double {
    signals[canary] * (shown - signals[canary] / 2)
  }

  var finding: PrivateAudit.Finding {
    func seen(_ times: Int, _ separation: Int?) -> String {
      "\(times) time\(times == 1 ? "" : "s")"
        + (separation.map { ", \($0) step\($0 == 1 ? "" : "s") apart" } ?? "")
    }
    let assumed = check.assumed
    return PrivateAudit.Finding(
      .participation, isRight: check.isRight && isOwn,
      "a unit takes part \(seen(check.times, check.separation))"
        + (check.isRight
          ? "" : " where \(seen(assumed.times, assumed.separation)) are accounted for")
        + (isOwn ? "" : "; its turn changes with other units in the data"))
  }
}
