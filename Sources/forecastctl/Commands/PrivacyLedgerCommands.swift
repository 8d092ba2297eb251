import ArgumentParser
import ForecastService
import Foundation
import Terminal

// The commands on the privacy ledger.

/// `forecastctl privacy [show] [ACCOUNT]`.
struct PrivacyShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "What was spent, by which run, and what is left.",
    discussion: """
      One table says for each account what is left, one what was spent by which run. All charges count: reserved (nothing was read), begun (data may have been read, also by an attempt \
      that failed), unused (the attempt ended before its training), committed (published). json is one object with \
      accounts, budgets and charges; jsonl and csv are the charges, one for each block of time that a run paid in. Exit code 1: the ledger was tampered with, or restored from an older copy than \
      the file that FORECAST_PRIVACY_WITNESS names has seen.
      """)
  @Argument(help: "Only this account.") var account: String?
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  private static let coverage =
    "Covered: the models, and all that is stored of private runs but rows that name a series. A series' own forecasts and verdict show its own data: give them to its own readers (docs/privacy.md, What is stored)."

  func run() async throws {
    try await database.withSession { session in
      let console = Console.current
      let ledger = PrivacyLedger(
        pool: session.pool,
        witness: PrivacyWitness(environment: ProcessInfo.processInfo.environment))
      let statement = try await ledger.statement(account: account)
      for fault in statement.faults { console.say(fault, .bad) }
      switch output.output {
      case .json: console.out(statement.json + "\n")
      case .jsonl, .csv:
        console.show(PrivacyTables.charges(statement.charges), as: output.output)
      case .table:
        console.show(PrivacyTables.accounts(statement.accounts), as: .table)
        guard !statement.accounts.isEmpty else { break }
        let blocks = statement.budgets.filter { $0.block != "all" }
        if !blocks.isEmpty {
          console.out("\nbudgets by block of time\n")
          console.show(PrivacyTables.budgets(blocks), as: .table)
        }
        console.out("\nruns\n")
        console.show(PrivacyTables.runs(statement.charges), as: .table)
        console.say(Self.coverage, .dim)
      }
      if !statement.faults.isEmpty { throw ExitCode(1) }
    }
  }
}

/// `forecastctl privacy budget`.
struct PrivacyBudgetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "budget", abstract: "Open and list privacy budgets.",
    subcommands: [Create.self, List.self], defaultSubcommand: List.self)

  struct Create: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Open an account, or another block of time of it; for operators.",
      discussion: """
        A budget is never changed, refreshed or deleted. What two accounts over the same data allow adds \
        up, and so does what a unit has in several blocks.
        """)
    @Argument(help: "Name of the account: one set of private data.") var account: String
    @Option(
      help:
        "What is protected: series, block (a stretch of time of a series), window, or person (of noise on inputs).",
      completion: .list(ProtectedUnit.names))
    var unit: String
    @Option(help: ArgumentHelp("Length of a block or a window in steps.", valueName: "n"))
    var unitSteps: Int?
    @Option(
      help: ArgumentHelp("What all charges together may come to.", valueName: "e"),
      transform: { text in
        guard let amount = EpsilonAmount(text) else {
          throw ValidationError(
            "epsilon is '\(text)', expected a number such as 2.5, with twelve decimals at most")
        }
        return amount
      })
    var epsilon: EpsilonAmount
    @Option(
      help: ArgumentHelp(
        "Probability with which that may fail to hold: well below one over the number of units.",
        valueName: "d"))
    var delta: Double
    @Option(
      help:
        "A budget of this size for each day, week, month, quarter or year of the data, which appear as time goes on.",
      completion: .list(BlockPeriod.allCases.map(\.rawValue)))
    var every: String?
    @Option(help: "Of --every: the time zone in which blocks begin at midnight.")
    var timezone: String?
    @Option(help: "Name of the block of time.") var block = "all"
    @Option(help: ArgumentHelp("The block's data begin here. Default: open.", valueName: "time"))
    var blockFrom: String?
    @Option(
      help: ArgumentHelp("The block's data end before this. Default: open.", valueName: "time"))
    var blockUntil: String?
    @Option(help: ArgumentHelp("Charges are admitted from here. Default: now.", valueName: "time"))
    var validFrom: String?
    @Option(
      help: ArgumentHelp("Charges are refused from here. Default: open.", valueName: "time"))
    var validUntil: String?
    @Option(help: "Why, or who decided.") var note: String?
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    /// nil without `--every`.
    private func rule(_ unit: ProtectedUnit) throws -> PrivacyBlockRule? {
      guard let every else {
        guard timezone == nil else {
          throw ServiceError(.badArgument, "--timezone needs --every")
        }
        return nil
      }
      guard let period = BlockPeriod(rawValue: every) else {
        throw ServiceError(
          .badArgument,
          "--every \"\(every)\": expected \(BlockPeriod.allCases.map(\.rawValue).joined(separator: ", "))"
        )
      }
      guard block == "all", blockFrom == nil, blockUntil == nil, validFrom == nil, validUntil == nil
      else {
        throw ServiceError(
          .badArgument,
          "--every makes blocks by itself: leave --block, --block-from, --block-until, --valid-from and --valid-until out"
        )
      }
      return PrivacyBlockRule(
        account: account, unit: unit, period: period, timezone: timezone ?? "UTC",
        epsilonLimit: epsilon, deltaLimit: delta)
    }

    func run() async throws {
      let unit = try ProtectedUnit(name: unit, steps: unitSteps)
      let from = try Instants.read(blockFrom, "--block-from")
      let until = try Instants.read(blockUntil, "--block-until")
      let validFrom = try Instants.read(validFrom, "--valid-from")
      let validUntil = try Instants.read(validUntil, "--valid-until")
      let rule = try self.rule(unit)
      try await database.withSession { session in
        let ledger = PrivacyLedger(pool: session.pool)
        if let rule {
          try await ledger.open(rule, note: note)
          let statement = try await ledger.statement(account: account)
          Console.current.show(PrivacyTables.accounts(statement.accounts), as: output.output)
          return
        }
        try await ledger.open(
          account: account, unit: unit, block: block, blockFrom: from, blockUntil: until,
          epsilon: epsilon, delta: delta, validFrom: validFrom, validUntil: validUntil, note: note)
        let statement = try await ledger.statement(account: account)
        Console.current.show(PrivacyTables.budgets(statement.budgets), as: output.output)
      }
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "All budgets with what was spent and what is left.")
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await database.withSession { session in
        let statement = try await PrivacyLedger(pool: session.pool).statement(account: nil)
        Console.current.show(PrivacyTables.budgets(statement.budgets), as: output.output)
      }
    }
  }
}

/// `forecastctl privacy plan`.
struct PrivacyPlanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "How many refits an account still bears, and the noise that would last.",
    discussion: """
      The first refit is now (or --from), one follows each period, the last is before --until. All that \
      was spent so far is composed with them. Nothing is charged. A refit is one of three: a training with \
      sampled units (--sampling-rate, --steps), one with correlated noise (--cycle, --bands, --steps), or the \
      release of noisy inputs (--slots, as many as are new each period).
      """)
  @Argument(help: "Name of the account.") var account: String
  @Option(help: "Time between refits, such as '7 days'.") var every: String
  @Option(help: ArgumentHelp("The end of the plan, as a date or a time in UTC.", valueName: "time"))
  var until: String
  @Option(help: ArgumentHelp("The first refit. Default: now.", valueName: "time")) var from: String?
  @Option(help: ArgumentHelp("Probability that a unit is in a batch.", valueName: "q"))
  var samplingRate: Double?
  @Option(
    help: ArgumentHelp(
      "Standard deviation of the noise, in clipping norms or in sensitivities of the inputs.",
      valueName: "s"))
  var noiseMultiplier: Double
  @Option(help: ArgumentHelp("Steps of one refit.", valueName: "n")) var steps: Int?
  @Option(help: ArgumentHelp("Steps in which every unit has one turn.", valueName: "n"))
  var cycle: Int?
  @Option(help: ArgumentHelp("Of how many steps the noise is mixed.", valueName: "n"))
  var bands: Int?
  @Option(help: ArgumentHelp("Time slots that are released each period.", valueName: "n"))
  var slots: Int?
  @Option(
    help:
      "Of accounts with a budget for each day, week, and so on: how many of these a refit trains on (privacy.history of the job)."
  )
  var history: Int?
  @Option(help: "Only this block of time; may be repeated.") var block: [String] = []
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    guard let every = TimeSpan(every) else {
      throw ServiceError(
        .badArgument, "--every \"\(every)\": expected \(TimeSpan.expected)")
    }
    guard let until = try Instants.read(until, "--until") else { return }
    let schedule = try PrivacyPlan.Schedule(
      every: every, from: try Instants.read(from, "--from") ?? Date(), until: until)
    let charge = try charge()
    try await database.withSession { session in
      let plans = try await PrivacyLedger(pool: session.pool).plan(
        account: account, blocks: block, history: history, charge: charge, schedule: schedule)
      Console.current.show(
        PrivacyTables.plans(plans, noiseMultiplier: noiseMultiplier), as: output.output)
    }
  }
}

extension PrivacyPlanCommand {
  /// What one refit costs.
  private func charge() throws -> PrivacyMechanism {
    switch (samplingRate, steps, cycle, bands, slots) {
    case (let rate?, let steps?, nil, nil, nil):
      return try .training(samplingRate: rate, noiseMultiplier: noiseMultiplier, steps: steps)
    case (nil, let steps?, let cycle?, let bands?, nil):
      return try .correlated(
        steps: steps, cycle: cycle, bands: bands, noiseMultiplier: noiseMultiplier)
    case (nil, nil, nil, nil, let slots?):
      return try .inputs(noiseMultiplier: noiseMultiplier, slots: slots)
    default:
      throw ServiceError(
        .badArgument,
        "a refit is --sampling-rate and --steps, or --cycle, --bands and --steps, or --slots: give one of the three"
      )
    }
  }
}

/// Instants on the command line: UTC unless they have an offset.
private enum Instants {
  static func read(_ text: String?, _ option: String) throws -> Date? {
    guard let text else { return nil }
    guard let date = Cutoff.instant(text, in: .gmt) else {
      throw ServiceError(
        .badArgument,
        "\(option) \"\(text)\": expected a date (2026-12-31), a time in UTC (\"2026-12-31 23:59\") or an instant (2026-12-31T23:59:00+01:00)"
      )
    }
    return date
  }
}

private enum PrivacyTables {
  static func accounts(_ rows: [ListPrivacyAccounts.Row]) -> Table {
    var table = Table(
      [
        Column("account", priority: .essential), Column("protects", priority: .essential),
        Column("budgets", priority: .low), Column("worst_block", title: "worst block"),
        Column("epsilon_limit", title: "limit", priority: .essential),
        Column("epsilon_spent", title: "spent", priority: .essential),
        Column("epsilon_left", title: "left", priority: .essential), Column("delta"),
        Column("runs"), Column("last_charge_at", title: "last charge"),
        Column("timezone", priority: .extra), Column("note", priority: .low),
      ], emptyMessage: "no privacy budget yet: `forecastctl privacy budget create`")
    for row in rows {
      let unit =
        row.unitSteps.map { "a \(row.unit) of \($0) steps" } ?? "all of a series"
      table.append([
        .text(row.account), .text(unit + (row.blockPeriod.map { " in a \($0)" } ?? "")),
        .integer(row.budgets), .text(row.worstBlock == "all" ? nil : row.worstBlock),
        PrivacyCells.amount(row.limit), PrivacyCells.amount(row.spent),
        PrivacyCells.amount(row.left, row.left == .zero ? .bad : nil),
        PrivacyCells.fraction(row.delta), .integer(row.runs), .date(row.lastChargeAt),
        .text(row.timezone),
        .text(row.note),
      ])
    }
    return table
  }

  /// One row per run and purpose, which may have paid in many blocks of time: the worst of them counts.
  static func runs(_ charges: [ListPrivacyCharges.Row]) -> Table {
    struct Key: Hashable {
      let account: String
      let run: Int64
      let purpose: String
      let token: String
    }
    var groups: [Key: [ListPrivacyCharges.Row]] = [:]
    var order: [Key] = []
    for charge in charges {
      let key = Key(
        account: charge.account, run: charge.runID, purpose: charge.purpose,
        token: charge.reservedAt.formatted(.iso8601))
      if groups[key] == nil { order.append(key) }
      groups[key, default: []].append(charge)
    }
    var table = Table(
      [
        Column("account", priority: .essential), Column("run", priority: .essential),
        Column("job"), Column("state", priority: .essential), Column("when"),
        Column("blocks"), Column("purpose", priority: .low), Column("rate", priority: .low),
        Column("noise", priority: .low), Column("steps", priority: .low),
        Column("alone", priority: .essential), Column("total", priority: .essential),
      ], emptyMessage: "nothing was spent")
    for key in order {
      guard let rows = groups[key], let worst = rows.max(by: { $0.composed < $1.composed }) else {
        continue
      }
      table.append([
        .text(key.account), .integer(key.run), .text(worst.job), state(worst.state),
        .date(worst.reservedAt),
        .text(
          rows.count > 1
            ? "\(rows.count), \(rows.map(\.block).min() ?? "") to \(rows.map(\.block).max() ?? "")"
            : worst.block == "all" ? nil : worst.block),
        .text(key.purpose), PrivacyCells.fraction(worst.samplingRate),
        .real(worst.noiseMultiplier, digits: 3),
        .integer(worst.steps), PrivacyCells.amount(worst.epsilon),
        PrivacyCells.amount(worst.composed),
      ])
    }
    return table
  }

  private static func state(_ state: String) -> Cell {
    switch state {
    case "committed": .text(state, .ok)
    case "begun": .text(state, .accent)
    default: .text(state, .dim)
    }
  }

  static func budgets(_ rows: [ListPrivacy.Row]) -> Table {
    var table = Table(
      [
        Column("account", priority: .essential), Column("unit"),
        Column("unit_steps", priority: .low), Column("block"),
        Column("epsilon_limit", title: "limit", priority: .essential),
        Column("epsilon_spent", title: "spent", priority: .essential),
        Column("epsilon_left", title: "left", priority: .essential), Column("delta"),
        Column("runs"), Column("charges", priority: .low), Column("uncommitted", priority: .low),
        Column("last_charge_at", title: "last charge"),
        Column("block_from", priority: .low), Column("block_until", priority: .low),
        Column("valid_from", priority: .extra), Column("valid_until"),
        Column("valid", priority: .extra), Column("note", priority: .low),
        Column("created_at", priority: .extra), Column("created_by", priority: .extra),
      ], emptyMessage: "no privacy budget yet: `forecastctl privacy budget create`")
    for row in rows {
      table.append([
        .text(row.account), .text(row.unit), .integer(row.unitSteps), .text(row.block),
        PrivacyCells.amount(row.limit),
        PrivacyCells.amount(row.spent),
        PrivacyCells.amount(row.left, row.left == .zero ? .bad : nil),
        PrivacyCells.fraction(row.delta),
        .integer(row.runs), .integer(row.charges), .integer(row.uncommitted),
        .date(row.lastChargeAt), .date(row.blockFrom, .stamp(.minute)),
        .date(row.blockUntil, .stamp(.minute)), .date(row.validFrom, .stamp(.minute)),
        .date(row.validUntil, .stamp(.minute), row.isValid ? nil : .warn), .boolean(row.isValid),
        .text(row.note), .date(row.createdAt), .text(row.createdBy),
      ])
    }
    return table
  }

  static func charges(_ rows: [ListPrivacyCharges.Row]) -> Table {
    var table = Table(
      [
        Column("account", priority: .essential), Column("unit", priority: .extra),
        Column("block"), Column("number", title: "no", priority: .essential),
        Column("job"), Column("run", priority: .essential), Column("purpose", priority: .low),
        Column("state", priority: .essential), Column("reserved_at", title: "when"),
        Column("mechanism", priority: .low), Column("sampling_rate", title: "rate"),
        Column("noise_multiplier", title: "noise"), Column("steps"),
        Column("cycle", priority: .extra), Column("bands", priority: .extra),
        Column("steps_taken", title: "taken", priority: .low),
        Column("epsilon", title: "alone"), Column("delta", priority: .low),
        Column("composed_epsilon", title: "total", priority: .essential),
        Column("composed_delta", priority: .extra), Column("reserved_by", priority: .extra),
        Column("intact", priority: .extra),
      ], emptyMessage: "nothing was spent")
    for row in rows {
      table.append([
        .text(row.account), .text(row.unit), .text(row.block), .integer(row.number),
        .text(row.job), .integer(row.runID), .text(row.purpose), state(row.state),
        .date(row.reservedAt), .text(row.mechanism), PrivacyCells.fraction(row.samplingRate),
        .real(row.noiseMultiplier, digits: 3), .integer(row.steps), .integer(row.cycle),
        .integer(row.bands), .integer(row.stepsTaken),
        PrivacyCells.amount(row.epsilon), PrivacyCells.fraction(row.delta),
        PrivacyCells.amount(row.composed),
        PrivacyCells.fraction(row.composedDelta), .text(row.reservedBy), .boolean(row.isIntact),
      ])
    }
    return table
  }

  static func plans(_ plans: [PrivacyPlan], noiseMultiplier: Double) -> Table {
    var table = Table([
      Column("account", priority: .essential), Column("block"),
      Column("refits_wanted", title: "wanted", priority: .essential),
      Column("refits_fitting", title: "fit", priority: .essential),
      Column("refused_at", title: "first refused"),
      Column("epsilon_spent", title: "spent now"),
      Column("epsilon_after", title: "spent after", priority: .essential),
      Column("epsilon_limit", title: "limit"), Column("delta", priority: .low),
      Column("noise_multiplier", title: "noise"),
      Column("lasting_noise_multiplier", title: "noise that lasts", priority: .essential),
    ])
    for plan in plans {
      table.append([
        .text(plan.account), .text(plan.block), .integer(plan.wanted),
        .integer(plan.fitting, plan.fitting < plan.wanted ? .warn : .ok),
        .date(plan.refusedAt, .stamp(.minute)), PrivacyCells.amount(plan.spent),
        PrivacyCells.amount(plan.spentAfter),
        PrivacyCells.amount(plan.limit), PrivacyCells.fraction(plan.delta),
        .real(noiseMultiplier, digits: 3), .real(plan.lastingNoiseMultiplier, digits: 4),
      ])
    }
    return table
  }
}
