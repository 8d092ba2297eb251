import ForecastService
import Foundation
import Terminal

/// The state of a run, in its colour.
func stateCell(_ state: String?) -> Cell {
  switch state {
  case "succeeded": .text(state, .ok)
  case "failed": .text(state, .bad)
  case "retryable", "cancelled": .text(state, .warn)
  case "running": .text(state, .accent)
  default: .text(state, .dim)
  }
}

enum StatusTable {
  /// - Parameter format: programs always get the columns on privacy, people where a job is private.
  static func of(_ overview: Session.Overview, as format: OutputFormat) -> Table {
    let showsPrivacy = format != .table || overview.jobs.contains { $0.privacyAccount != nil }
    var table = Table(
      [
        Column("job", priority: .essential), Column("state", priority: .essential),
        Column("run", priority: .low), Column("progress"),
        Column("finished_at", title: "finished"), Column("seconds", title: "took", priority: .low),
        Column("series_ok", title: "series ok"), Column("series_failed", title: "failed"),
        Column("origin", title: "forecast from"), Column("model", priority: .low),
        Column("next_due_at", title: "next run"), Column("schedule", priority: .low),
        Column("version", priority: .extra), Column("error_code", title: "error"),
      ]
        + (showsPrivacy
          ? [
            Column("notice_code", title: "notice", priority: .essential),
            Column("epsilon_left", title: "epsilon left", priority: .essential),
            Column("epsilon_limit", title: "of", priority: .low),
            Column("privacy_account", title: "account", priority: .low),
          ] : []),
      emptyMessage: "no job yet: write one and `forecastctl apply` it")
    for row in overview.jobs {
      let isShort =
        row.noticeCode != nil || row.errorCode == ServiceError.Code.privacyBudget.rawValue
      table.append(
        [
          .text(row.job), row.state == nil ? .text("never ran", .dim) : stateCell(row.state),
          .integer(row.runID),
          row.state == "running" ? .percent(row.progress) : .null,
          .date(row.finishedAt), .duration(row.seconds), .integer(row.seriesOK),
          .integer(row.seriesFailed, (row.seriesFailed ?? 0) > 0 ? .warn : nil),
          row.originAt.map { .date($0, .stamp(.minute)) }
            ?? .text(row.originIndex.map { $0 == .max ? "last step" : "step \($0)" }),
          .text(row.model),
          row.paused ? .text("paused", .warn) : .date(row.nextDueAt),
          .text(row.schedule.map { "\($0) \(row.timezone)" }), .integer(row.version),
          .text(row.state == "succeeded" ? nil : row.errorCode, .bad),
        ]
          + (showsPrivacy
            ? [
              .text(row.noticeCode, .warn),
              PrivacyCells.amount(row.epsilonLeft, isShort ? .warn : nil),
              PrivacyCells.amount(row.epsilonLimit), .text(row.privacyAccount),
            ] : []))
    }
    return table
  }
}

/// How numbers of the privacy ledger are shown.
enum PrivacyCells {
  static func amount(_ amount: EpsilonAmount?, _ role: Role? = nil) -> Cell {
    small(amount?.value, role)
  }

  /// With as many decimals as show two digits of a small number, four at least.
  private static func small(_ value: Double?, _ role: Role? = nil) -> Cell {
    guard let value, value > 0 else { return .real(value, digits: 4, role) }
    return .real(value, digits: min(20, max(4, Int(-log10(value)) + 2)), role)
  }

  /// A delta or a rate.
  static func fraction(_ value: Double?) -> Cell {
    guard let value, value > 0 else { return .real(value) }
    return .real(value, digits: min(20, max(2, Int(-log10(value)) + 2)))
  }
}

enum RunTable {
  static func of(_ rows: [ListRuns.Row]) -> Table {
    var table = Table(
      [
        Column("run", priority: .essential), Column("job", priority: .essential),
        Column("state", priority: .essential), Column("cutoff"),
        Column("queued_at", title: "queued", priority: .low),
        Column("started_at", title: "started"),
        Column("seconds", title: "took"), Column("series_ok", title: "series ok"),
        Column("series_failed", title: "failed"), Column("attempts", priority: .low),
        Column("trigger", title: "by", priority: .low), Column("version", priority: .extra),
        Column("error_code", title: "error"),
      ], emptyMessage: "no runs yet: `forecastctl run JOB`")
    for row in rows {
      table.append([
        .integer(row.runID), .text(row.job), stateCell(row.state),
        row.cutoff.date.map { .date($0, .stamp(.minute)) } ?? .text("\(row.cutoff)"),
        .date(row.queuedAt), .date(row.startedAt),
        .duration(
          row.startedAt.flatMap { start in row.finishedAt.map { $0.timeIntervalSince(start) } }),
        .integer(row.seriesOK),
        .integer(row.seriesFailed, (row.seriesFailed ?? 0) > 0 ? .warn : nil),
        .integer(row.attempts), .text(row.trigger), .integer(row.version),
        .text(row.errorCode, row.state == "failed" ? .bad : .dim),
      ])
    }
    return table
  }

  /// The exit code for the stored error code of a failed run.
  static func exitCode(ofErrorCode code: String) -> Int32 {
    guard let known = ServiceError.Code(rawValue: code) else { return 70 }
    return ExitStatus(describing: ServiceError(known, ""))?.code ?? 70
  }
}

enum DetailTables {
  static func attempts(_ rows: [ListAttempts.Row]) -> Table {
    var table = Table(
      [
        Column("number", title: "attempt"), Column("outcome"), Column("worker"), Column("host"),
        Column("pid", priority: .low), Column("started_at", title: "started"),
        Column("seconds", title: "took"),
        Column("error_text", title: "error"),
      ], emptyMessage: "not started yet")
    for row in rows {
      table.append([
        .integer(row.number), stateCell(row.outcome), .text(row.worker), .text(row.host),
        .integer(row.pid), .date(row.startedAt),
        .duration(row.finishedAt.map { $0.timeIntervalSince(row.startedAt) }),
        .text(row.errorText, .bad),
      ])
    }
    return table
  }

  static func verdicts(_ rows: [CountVerdicts.Row]) -> Table {
    var table = Table([
      Column("verdict", priority: .essential), Column("forecasted", title: "forecast"),
      Column("series", title: "series"), Column("example"), Column("detail"),
    ])
    for row in rows {
      table.append([
        .text(row.verdict, row.forecasted ? (row.verdict == "ok" ? .ok : .plain) : .warn),
        .boolean(row.forecasted), .integer(row.count), .text(row.example), .text(row.detail),
      ])
    }
    return table
  }

  static func lineage(_ pairs: [(key: String, value: String)]) -> Table {
    var table = Table([
      Column("what", priority: .essential, role: .dim), Column("value", priority: .essential),
    ])
    for pair in pairs { table.append([.text(pair.key), .text(pair.value)]) }
    return table
  }

  static func events(_ rows: [ListEvents.Row]) -> Table {
    var table = Table(
      [
        Column("at"), Column("level"), Column("stage", role: .dim),
        Column("message", priority: .essential),
      ], emptyMessage: "nothing happened yet")
    for row in rows {
      let role: Role =
        switch row.level {
        case "error": .bad
        case "warning": .warn
        default: .dim
        }
      table.append([
        .date(row.at, .stamp(.second)), .text(row.level, role), .text(row.stage),
        .text(row.message),
      ])
    }
    return table
  }
}

enum ForecastTable {
  /// Enough decimals for about five significant digits.
  private static func decimals(for values: [Double]) -> Int {
    let largest = values.map(abs).max() ?? 0
    return largest >= 10_000 ? 0 : largest >= 1000 ? 1 : largest >= 100 ? 2 : largest >= 1 ? 3 : 5
  }

  static func of(_ rows: [ReadCurrent.Row]) -> Table {
    let levels = rows.first?.levels ?? []
    var table = Table(
      [
        Column("series", priority: .essential), Column("target", priority: .essential),
        Column("step", priority: .low), Column("mean", priority: .essential),
      ]
        + levels.map { level in
          Column(
            "p"
              + String(
                format: level * 100 == (level * 100).rounded() ? "%02.0f" : "%g", level * 100))
        } + [Column("origin", priority: .extra), Column("run", priority: .extra)],
      emptyMessage: "no forecast yet: `forecastctl run JOB --wait`")
    for row in rows {
      let digits = decimals(for: row.quantiles)
      table.append(
        [
          .text(row.series),
          row.targetAt.map { .date($0, .stamp(.minute)) } ?? .integer(row.targetIndex),
          .integer(row.step), .real(row.mean, digits: digits),
        ] + row.quantiles.map { .real($0, digits: digits) } + [
          row.originAt.map { .date($0, .stamp(.minute)) } ?? .integer(row.originIndex),
          .integer(row.runID),
        ])
    }
    return table
  }
}
