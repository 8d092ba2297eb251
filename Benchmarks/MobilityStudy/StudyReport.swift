import ArgumentParser
import Foundation
import Privacy

/// Writes what the file of results has, whatever is missing.
struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Write docs/study-mobility.md.")

  @OptionGroup var files: Files
  @Option(help: "The document.") var output = "docs/study-mobility.md"

  func run() throws {
    let report = StudyReport(
      data: try MobilityData(path: files.data), results: try StudyResults(path: files.results))
    try report.text().write(toFile: output, atomically: true, encoding: .utf8)
  }
}

struct StudyReport {
  let data: MobilityData
  let results: StudyResults

  /// Epsilons of parts B to D are at this delta.
  private static let delta = 1e-5

  func text() throws -> String {
    let last = RegionErrors.persistence(data, rows: data.testTargets)
    return [
      StudyText.introduction,
      "Persistence, the last value, has RMSE \(Self.number(last.meanRMSE)) and MAE "
        + "\(Self.number(last.meanMAE)) on the test week.",
      StudyText.partA, try networks("A", extra: nil),
      StudyText.partB, try perturbation(),
      StudyText.partC, privacy("C", last.meanRMSE),
      StudyText.partD, privacy("D", last.meanRMSE),
      StudyText.tuning,
      "## Every run", StudyText.everyRun, everyRun(),
    ].joined(separator: "\n\n") + "\n"
  }

  /// Those with the paper's settings first.
  private func rows(_ part: String) -> [StudyRow] {
    let rows = StudyRow.all.filter { $0.part == part }
    return rows.filter { !$0.predictsChanges } + rows.filter(\.predictsChanges)
  }

  private func networks(
    _ part: String, extra: (title: String, cell: (StudyRow) throws -> String)?
  ) throws -> String {
    var lines = [
      "| row |\(extra.map { " \($0.title) |" } ?? "") runs | mean RMSE | sd | best RMSE | its MAE | paper's RMSE | MAE | best at or under it |",
      "| --- |\(extra == nil ? "" : " ---: |") ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows(part) {
      let all = results.of(row)
      let summary = Summary(all)
      let paper = row.paper!
      var cells = [row.name]
      if let extra { cells.append(try extra.cell(row)) }
      cells += summary.cells(of: all.count)
      cells += [
        Self.number(paper.rmse), Self.number(paper.mae),
        summary.best.map { $0.meanRMSE <= paper.rmse ? "yes" : "no" } ?? "–",
      ]
      lines.append("| " + cells.joined(separator: " | ") + " |")
    }
    return lines.joined(separator: "\n")
  }

  private func perturbation() throws -> String {
    func epsilon(_ row: StudyRow, sensitivity: Double) throws -> String {
      let noise = try InputPerturbation(
        sensitivity: sensitivity, slots: data.learningRows,
        deviation: row.configuration.network!.noise!)
      return String(format: "%.2f", try noise.epsilon(atDelta: Self.delta))
    }
    return try networks(
      "B",
      extra: (
        "sd of the noise, people | epsilon | epsilon, sensitivity √2",
        { row in
          let cells = [
            String(format: "%.2f", row.configuration.network!.noise!),
            try epsilon(row, sensitivity: 1), try epsilon(row, sensitivity: 2.0.squareRoot()),
          ]
          return cells.joined(separator: " | ")
        }
      )
    ).replacingOccurrences(of: "| --- | ---: | ---: |", with: "| --- | ---: | ---: | ---: | ---: |")
  }

  private func privacy(_ part: String, _ persistence: Double) -> String {
    var lines = [
      "| unit | epsilon asked | spent | noise multiplier | \(part == "C" ? "sampling rate" : "cycle") | steps | runs | mean RMSE | sd | best RMSE | its MAE | mean against persistence |",
      "| --- |" + String(repeating: " ---: |", count: 11),
    ]
    for row in rows(part) {
      let linear = row.configuration.linear!
      let all = results.of(row)
      let summary = Summary(all)
      var cells = [linear.unit.rawValue, String(format: "%g", linear.epsilon)]
      cells.append(
        all.compactMap(\.epsilon).max().map { String(format: "%.4f", $0) } ?? "–")
      cells.append(
        all.compactMap(\.noiseMultiplier).first.map { String(format: "%.2f", $0) } ?? "–")
      cells.append(
        linear.samplingRate.map { String(format: "%g", $0) } ?? linear.cycle.map(String.init) ?? "–"
      )
      cells.append(String(linear.steps))
      cells += summary.cells(of: all.count)
      cells.append(
        summary.mean.map { String(format: "%+.1f %%", ($0 / persistence - 1) * 100) } ?? "–")
      lines.append("| " + cells.joined(separator: " | ") + " |")
    }
    return lines.joined(separator: "\n")
  }

  private func everyRun() -> String {
    var lines = ["| row | RMSE, from the first run to the last |", "| --- | --- |"]
    for row in ["A", "B", "C", "D"].flatMap(rows) {
      let cells = results.of(row).map { result in
        result.test.map { Self.number($0.meanRMSE) }
          ?? "diverged in epoch \(result.divergedAt ?? 0)"
      }
      lines.append(
        "| \(row.part) \(row.name) | \(cells.isEmpty ? "not run yet" : cells.joined(separator: ", ")) |"
      )
    }
    return lines.joined(separator: "\n")
  }

  private static func number(_ value: Double) -> String { String(format: "%.1f", value) }

  /// Over the runs that did not diverge.
  private struct Summary {
    let mean: Double?
    /// With one degree of freedom less than runs.
    let deviation: Double?
    let best: RegionErrors?

    init(_ all: [StudyResult]) {
      let errors = all.compactMap(\.test)
      best = errors.min { $0.meanRMSE < $1.meanRMSE }
      let values = errors.map(\.meanRMSE)
      let mean = values.reduce(0, +) / Double(max(1, values.count))
      self.mean = values.isEmpty ? nil : mean
      deviation =
        values.count < 2
        ? nil
        : (values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(values.count - 1))
          .squareRoot()
    }

    /// Runs, mean, deviation, best RMSE, its MAE.
    func cells(of count: Int) -> [String] {
      [String(count)]
        + [mean, deviation, best?.meanRMSE, best?.meanMAE].map { $0.map(number) ?? "–" }
    }
  }
}
