import ArgumentParser
import Foundation
import Privacy
import Terminal

/// `forecastctl privacy`: the ledger of what was spent, and what private training costs. The
/// calculations, `epsilon` and `calibrate`, need no database.
struct PrivacyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "privacy",
    abstract: "Privacy budgets and what was spent of them; the epsilon of private training.",
    discussion: """
      The ledger (show, budget, plan) keeps what may be learned from private data in all. A charge is \
      booked before anything is read and never given back.

      An audit attacks what a job's training would release and compares the leak with the claim. It \
      needs a job file, and no database.

      The calculations (epsilon, calibrate) need no database. Each step takes every record into its batch independently with probability --sampling-rate, clips \
      contributions, and adds Gaussian noise of --noise-multiplier clipping norms to their sum. Data sets \
      are neighbours when one has one record more. Results are upper bounds.
      """,
    subcommands: [
      PrivacyShow.self, PrivacyBudgetCommand.self, PrivacyPlanCommand.self,
      PrivacyAuditCommand.self, Epsilon.self, Calibrate.self,
    ],
    defaultSubcommand: PrivacyShow.self)

  /// What both computations need to know of the training.
  struct Training: ParsableArguments {
    @Option(help: ArgumentHelp("Probability that a record is in a batch, 0 to 1.", valueName: "q"))
    var samplingRate: Double
    @Option(help: ArgumentHelp("Number of steps over the whole training.", valueName: "n"))
    var steps: Int
    @Option(
      help: ArgumentHelp(
        "Probability with which epsilon may fail to hold: well below one over the number of records.",
        valueName: "d"))
    var delta: Double
    @Option(
      help: "pld (privacy loss distributions, tight) or rdp (Rényi divergence, looser).",
      completion: .list(AccountantKind.allCases.map(\.rawValue)),
      transform: { name in
        guard let kind = AccountantKind(rawValue: name) else {
          throw ValidationError("the accountant is '\(name)', expected pld or rdp")
        }
        return kind
      })
    var accountant: AccountantKind = .pld
  }

  struct Epsilon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print the epsilon that a training has at delta.")
    @OptionGroup var training: Training
    @Option(
      help: ArgumentHelp(
        "Standard deviation of the noise, in clipping norms.", valueName: "s"))
    var noiseMultiplier: Double
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let mechanism = try SubsampledGaussian(
        samplingRate: training.samplingRate, noiseMultiplier: noiseMultiplier)
      let epsilon = try training.accountant.epsilon(
        of: mechanism, steps: training.steps, delta: training.delta)
      PrivacyTable.show(training, noiseMultiplier, epsilon, as: output.output)
    }
  }

  struct Calibrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print the noise multiplier that a training needs for an epsilon.")
    @Option(help: ArgumentHelp("The epsilon wanted; never exceeded.", valueName: "e"))
    var epsilon: Double
    @OptionGroup var training: Training
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let found = try NoiseCalibration(
        epsilon: epsilon, samplingRate: training.samplingRate, steps: training.steps,
        delta: training.delta, accountant: training.accountant)
      PrivacyTable.show(training, found.noiseMultiplier, found.epsilon, as: output.output)
    }
  }
}

private enum PrivacyTable {
  /// With as many decimals as show two digits of a small number.
  private static func number(_ value: Double) -> Cell {
    .real(value, digits: value > 0 ? min(20, max(2, Int(-log10(value)) + 2)) : 2)
  }

  static func show(
    _ training: PrivacyCommand.Training, _ noiseMultiplier: Double, _ epsilon: Double,
    as format: OutputFormat
  ) {
    var table = Table([
      Column("epsilon", priority: .essential), Column("delta", priority: .essential),
      Column("noise_multiplier", priority: .essential), Column("sampling_rate"), Column("steps"),
      Column("accountant"),
    ])
    table.append([
      .real(epsilon, digits: 4), number(training.delta),
      .real(noiseMultiplier, digits: 4), number(training.samplingRate),
      .integer(training.steps), .text(training.accountant.rawValue),
    ])
    Console.current.show(table, as: format)
  }
}
