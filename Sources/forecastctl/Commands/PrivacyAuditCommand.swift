import ArgumentParser
import ForecastService
import Foundation
import Terminal
import Training

/// `forecastctl privacy audit`.
struct PrivacyAuditCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit",
    abstract: "Attack what makes a job private and compare what leaks with what it claims.",
    discussion: """
      Trains as the job does, on made-up public series with canaries among them: gradients that are known, each in \
      the data by the toss of a coin. Whoever sees every noisy gradient then guesses the coins, with correlated noise after \
      undoing the correlation. With noise on inputs the values are made up, and the canaries are persons in them. Beside the \
      claimed epsilon stand two lower bounds, which \
      hold together with the confidence that is given: one for whatever the mechanism is (Steinke et al. 2023), and a sharper one \
      for the claimed mechanism with some other noise. Who takes part when, noise, sensitivity and what the model is computed \
      from are looked at beside; with noise on inputs which slots are released, noise, rounding and sensitivity.

      No private data are read and nothing is charged.

      It cannot show that a claim holds, only that it does not: a bound far below the claim is what a right training gives. \
      It says nothing of what is computed from the data outside of training, of forecasts made from a series' own \
      history, of other versions of the program or of another machine.

      Exit code 1: the claim is broken. A right training is called broken by the guesses once in 1 / (1 - confidence) audits at most, \
      by the other checks once in some hundred thousand.
      """)
  @Argument(help: "A job file, or the name of a registered job.", completion: .file())
  var job: String
  @Option(
    help: ArgumentHelp(
      "How many; at most one for each parameter of the model, where noise is on gradients. Default: \(PrivateAudit.standardCanaries), or as many as there are parameters.",
      valueName: "n"))
  var canaries: Int?
  @Option(
    help: ArgumentHelp(
      "Audit the first n steps (of noise on inputs: time slots), and what these claim. Default: all.",
      valueName: "n"))
  var steps: Int?
  @Option(help: ArgumentHelp("Probability that the bounds hold.", valueName: "p"))
  var confidence: Double = 0.95
  @Option(help: ArgumentHelp("Threads to train with. Default: all cores.", valueName: "n"))
  var threads: Int?
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let threads, threads < 1 {
      throw ValidationError("--threads is \(threads), expected at least 1")
    }
  }

  func run() async throws {
    let audited = try await find()
    let bar = Console.current.progressBar()
    bar.stage("audit of \(audited.definition.job)", total: 1000)
    let audit = try audited.run(
      canaries: canaries, steps: steps, confidence: confidence,
      threads: threads ?? ProcessInfo.processInfo.activeProcessorCount
    ) { bar.update(Int64($0 * 1000)) }
    bar.finish()
    let job = audited.definition.job
    if output.output == .table {
      Console.current.show(PrivacyAuditTables.lines(job, audit), as: .table)
      Console.current.say(
        "Audited on made-up public series: no private data were read, nothing was charged. That nothing was found proves nothing; see docs/privacy.md.",
        .dim)
    } else {
      Console.current.show(PrivacyAuditTables.row(job, audit), as: output.output)
    }
    if !audit.isConsistent { throw ExitCode(1) }
  }

  private func find() async throws -> JobAudit {
    // A job's name has no slash, and does not end so.
    if job.contains("/") || job.hasSuffix(".yaml") || job.hasSuffix(".yml")
      || FileManager.default.fileExists(atPath: job)
    {
      return try JobAudit(path: job)
    }
    return try await database.withSession { session in
      try await JobAudit(name: job, in: JobRegistry(pool: session.pool))
    }
  }
}

private enum PrivacyAuditTables {
  private static func verdict(_ audit: PrivateAudit) -> Cell {
    audit.isConsistent
      ? .text("consistent with the claim", .ok) : .text("the claim is broken", .bad)
  }

  /// For machines: one row, with the same columns for all mechanisms; what is not looked at for one is null.
  static func row(_ job: String, _ audit: PrivateAudit) -> Table {
    var table = Table(
      [
        "job", "mechanism", "unit", "epsilon", "delta", "steps", "sampling_rate", "cycle", "bands",
        "noise_multiplier", "canaries", "included", "guesses", "correct", "confidence",
        "epsilon_lower_bound", "epsilon_lower_bound_of_curve", "epsilon_ceiling",
        "guesses_refute_claim",
      ].map { Column($0) }
        + PrivateAudit.Finding.Name.allCases.map { Column(key($0)) }
        + [Column("seconds"), Column("verdict", priority: .essential)])
    let claim = audit.claim
    table.append(
      [
        .text(job), .text(claim.mechanism.rawValue), .text(claim.unit),
        .real(claim.epsilon, digits: 6), .real(claim.delta, digits: 20), .integer(claim.steps),
        .real(claim.samplingRate, digits: 12), .integer(claim.cycle), .integer(claim.bands),
        .real(claim.noiseMultiplier, digits: 6), .integer(audit.canaries),
        .integer(audit.included), .integer(audit.bound.guesses), .integer(audit.bound.correct),
        .real(audit.confidence, digits: 6), .real(audit.bound.epsilon, digits: 4),
        .real(audit.curveBound, digits: 4), .real(audit.ceiling, digits: 4),
        .boolean(audit.isRefuted),
      ]
        + PrivateAudit.Finding.Name.allCases.map { name in
          .boolean(audit.findings.first { $0.name == name }?.isRight)
        } + [.real(audit.seconds, digits: 2), verdict(audit)])
    return table
  }

  private static func key(_ name: PrivateAudit.Finding.Name) -> String {
    name.rawValue.replacingOccurrences(of: "-", with: "_") + "_right"
  }

  private static func number(_ value: Double) -> String {
    value.formatted(.number.precision(.significantDigits(1...4)).grouping(.never))
  }

  private static func mechanism(_ claim: PrivateAudit.Claim) -> String {
    switch claim.mechanism {
    case .gradients:
      "\(claim.steps) steps, rate \(number(claim.samplingRate ?? 1))"
    case .correlated:
      "\(claim.steps) steps, each unit in one of \(claim.cycle ?? 1), \(claim.bands ?? 1) bands"
    case .inputs: "\(claim.steps) time slots"
    }
  }

  /// For people: one line for each thing.
  static func lines(_ job: String, _ audit: PrivateAudit) -> Table {
    var table = Table([
      Column("what", priority: .essential), Column("found", priority: .essential),
    ])
    func line(_ what: String, _ found: String, _ role: Role? = nil) {
      table.append([.text(what), .text(found, role)])
    }
    let (claim, bound) = (audit.claim, audit.bound)
    line("job", "\(job), unit \(claim.unit)")
    line(
      "claim",
      "epsilon \(number(claim.epsilon)) at delta \(claim.delta): \(mechanism(claim)), noise \(number(claim.noiseMultiplier))"
    )
    line("canaries", "\(audit.canaries), \(audit.included) of them in the data")
    line(
      "epsilon is at least",
      "\(number(bound.epsilon)), from \(bound.correct) right of \(bound.guesses) guesses",
      bound.epsilon > claim.epsilon ? .bad : nil)
    line(
      "for this mechanism", "\(number(audit.curveBound))",
      audit.curveBound > claim.epsilon ? .bad : nil)
    line(
      "confidence",
      "\(number(100 * audit.confidence)) %; so many guesses can show \(number(audit.ceiling)) at most"
    )
    for finding in audit.findings {
      line(finding.name.rawValue, finding.detail, finding.isRight ? nil : .bad)
    }
    table.append([.text("verdict"), verdict(audit)])
    return table
  }
}
