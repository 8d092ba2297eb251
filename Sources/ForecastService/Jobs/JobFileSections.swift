import Forecasters
import Foundation
import Training
import Yams

/// The keys of a job file, section by section.
enum JobFileSections {
  static let keys = [
    "job", "schedule", "timezone", "catchUp", "overlap", "source", "horizon", "contextLength",
    "seasonality", "model", "training", "quantiles", "calibration", "privacy", "limits",
  ]

  /// - Returns: nil when something required is missing; all problems are in the reader.
  static func read(_ root: Node, _ reader: inout JobNodeReader) -> JobDefinition? {
    guard let top = reader.mapping(root, "", keys: keys) else { return nil }
    let refused = UnsupportedFeatures.refuse(in: root, &reader)
    for (key, example) in [
      ("job", "job: my-forecast"), ("source", "source: {query: ..., frequency: 1 day}"),
      ("horizon", "horizon: 12"),
    ] where top[key] == nil {
      reader.fail(root, "the key \(key) is missing; add for example \(example)")
    }
    let name = name(top["job"], &reader)
    let zone = zone(top["timezone"], &reader)
    let schedule = schedule(top["schedule"], &reader)
    let source = source(top["source"], &reader)
    let horizon = reader.integer(top["horizon"], "horizon", in: 1...10_000)
    let seasonality = seasonality(top["seasonality"], &reader)
    let contextNode = top["contextLength"]
    let context = reader.integer(contextNode, "contextLength", in: 1...1_000_000)
    let model = refused.contains("model") ? nil : model(top["model"], refused, &reader)
    let fit = TrainingSection.read(top["training"], refused, &reader)
    let quantiles = quantiles(top["quantiles"], &reader)
    let catchUp: JobDefinition.CatchUp? = reader.choice(top["catchUp"], "catchUp")
    let overlap: JobDefinition.Overlap? = reader.choice(top["overlap"], "overlap")
    let calibration: JobDefinition.Calibration? =
      refused.contains("calibration") ? nil : reader.choice(top["calibration"], "calibration")
    let limits = limits(top["limits"], &reader)
    let privacy = PrivacySection.read(top["privacy"], &reader)
    if let context, let contextNode, context < 2 {
      reader.fail(
        contextNode,
        "contextLength: found \(context), which is too short to see a trend; expected 2 or more")
    }
    guard let name, let source, let horizon else { return nil }
    let seasons = seasonality ?? source.frequency.defaultSeasonality
    let definition = JobDefinition(
      job: name, schedule: schedule, timezone: zone ?? "UTC", catchUp: catchUp ?? .latest,
      overlap: overlap ?? .skip, source: source, horizon: horizon,
      contextLength: context
        ?? Frequency.defaultContextLength(horizon: horizon, seasonality: seasons),
      seasonality: seasons, model: model ?? .init(), training: fit,
      quantiles: quantiles ?? JobDefinition.defaultQuantiles, calibration: calibration ?? .none,
      privacy: privacy, limits: limits)
    // What values have to fulfil together.
    if reader.problems.isEmpty {
      do { try definition.forecaster.validate() } catch {
        reader.fail(top["model"] ?? root, "model: \(error)")
      }
      if definition.privacy?.block != nil, source.frequency.isInteger {
        reader.fail(
          top["privacy"] ?? root,
          "privacy.block: series counted in integer steps lie in no day or month; leave block and history out"
        )
      }
      // What it will cost needs no data, so what is impossible shows here.
      if reader.problems.isEmpty, let privacy = definition.privacy {
        do {
          _ = try definition.privateTrainer?.charge(definition.forecaster)
          _ = try privacy.inputs?.mechanism()
        } catch {
          reader.fail(top["privacy"] ?? root, "privacy: \(error)")
        }
      }
    }
    return definition
  }

  private static func name(_ node: Node?, _ reader: inout JobNodeReader) -> String? {
    let expected =
      "a name of at most 63 lower-case letters, digits, - _ and ., beginning with a letter or digit"
    guard let node, let text = reader.text(node, "job", expected: expected) else { return nil }
    guard text.wholeMatch(of: /[a-z0-9][a-z0-9._-]{0,62}/) != nil else {
      let lower = text.lowercased()
      let hint =
        lower.wholeMatch(of: /[a-z0-9][a-z0-9._-]{0,62}/) != nil ? "; did you mean \(lower)?" : ""
      reader.fail(node, "job: found \(JobNodeReader.describe(node)), expected \(expected)\(hint)")
      return nil
    }
    return text
  }

  private static func zone(_ node: Node?, _ reader: inout JobNodeReader) -> String? {
    let expected = "an IANA time zone such as Europe/Paris"
    guard let node, let text = reader.text(node, "timezone", expected: expected) else { return nil }
    let known = TimeZone.knownTimeZoneIdentifiers
    // Foundation takes more (GMT+2); only names of the database mean the same everywhere.
    if text == "UTC" || known.contains(text) { return text }
    if text.contains("/"), TimeZone(identifier: text) != nil { return text }
    let hint = NearestName.find(text, among: known).map { "; did you mean \($0)?" } ?? ""
    reader.fail(node, "timezone: found \"\(text)\", expected \(expected)\(hint)")
    return nil
  }

  private static func schedule(_ node: Node?, _ reader: inout JobNodeReader) -> String? {
    let expected = "a cron expression in quotes such as \"0 2 * * *\"; leave it out for manual jobs"
    guard let node, let text = reader.text(node, "schedule", expected: expected) else { return nil }
    do {
      return try CronExpression(text).description
    } catch {
      reader.fail(
        node, characterOffset: error.position - 1, "schedule: \(error); found \"\(text)\"")
      return nil
    }
  }

  private static func source(_ node: Node?, _ reader: inout JobNodeReader) -> JobDefinition.Source?
  {
    guard let node,
      let entries = reader.mapping(
        node, "source", keys: ["query", "frequency", "gaps", "covariates"])
    else { return nil }
    for key in ["query", "frequency"] where entries[key] == nil {
      reader.fail(
        node,
        "the key source.\(key) is missing; add \(key == "query" ? "a SELECT that returns series, ts and y" : "for example frequency: 1 day")"
      )
    }
    let query = query(entries["query"], &reader)
    var frequency: Frequency?
    if let node = entries["frequency"],
      let text = reader.text(node, "source.frequency", expected: Frequency.expected)
    {
      frequency = Frequency(text)
      if frequency == nil {
        reader.fail(node, "source.frequency: found \"\(text)\", expected \(Frequency.expected)")
      }
    }
    if let covariates = entries["covariates"], !JobNodeReader.isNull(covariates) {
      _ = reader.mapping(
        covariates, "source.covariates", keys: ["historical", "future", "static"])
    }
    let gaps: GapPolicy? = reader.choice(entries["gaps"], "source.gaps")
    guard let query, let frequency else { return nil }
    return JobDefinition.Source(query: query, frequency: frequency, gaps: gaps ?? .mask)
  }

  private static func query(_ node: Node?, _ reader: inout JobNodeReader) -> String? {
    guard let node, let text = reader.text(node, "source.query", expected: "a SQL query") else {
      return nil
    }
    do {
      let template = try QueryTemplate(text)
      if !template.usesCutoff {
        reader.warn(
          node,
          "source.query: no :cutoff, so later runs and backtests cannot repeat what this run saw; add for example WHERE ts <= :cutoff"
        )
      }
      return template.text
    } catch {
      let before = String(decoding: Array(text.utf8.prefix(error.offset)), as: UTF8.self)
      reader.fail(node, characterOffset: before.count, "source.query: \(error.message)")
      return nil
    }
  }

  private static func seasonality(_ node: Node?, _ reader: inout JobNodeReader) -> [Int]? {
    guard let node,
      let items = reader.list(node, "seasonality", expected: "steps such as [7]", atMost: 16)
    else { return nil }
    let values = items.compactMap { reader.integer($0, "seasonality", in: 1...1_000_000) }
    guard values.count == items.count else { return nil }
    guard !values.isEmpty, Set(values).count == values.count else {
      reader.fail(
        node,
        "seasonality: found \(values.isEmpty ? "an empty list" : "a value twice"), expected different season lengths; [1] is no season"
      )
      return nil
    }
    return values.sorted()
  }

  private static func model(
    _ node: Node?, _ refused: Set<String>, _ reader: inout JobNodeReader
  ) -> JobDefinition.Model {
    var model = JobDefinition.Model()
    guard let node else { return model }
    if !refused.contains("model.kind"), let kindNode = node.mapping?["kind"],
      let kind = reader.text(kindNode, "model.kind", expected: "the name of a model")
    {
      if Registry.kinds.contains(kind) {
        model.kind = kind
      } else {
        let hint =
          NearestName.find(kind, among: Registry.kinds).map { "; did you mean \($0)?" } ?? ""
        reader.fail(
          kindNode,
          "model.kind: found \"\(kind)\", expected one of \(Registry.kinds.joined(separator: ", "))\(hint)"
        )
      }
    }
    let options = Registry.entry(model.kind)?.options ?? []
    guard
      let entries = reader.mapping(
        node, "model", keys: ["kind", "hidden", "layers", "dropout"] + options.map(\.name))
    else { return model }
    model.hidden = reader.integer(entries["hidden"], "model.hidden", in: 1...4096) ?? model.hidden
    model.layers = reader.integer(entries["layers"], "model.layers", in: 1...16) ?? model.layers
    model.dropout =
      reader.number(
        entries["dropout"], "model.dropout", expected: "a share of at least 0 and less than 1",
        where: { $0 >= 0 && $0 < 1 }) ?? model.dropout
    for option in options {
      guard let node = entries[option.name], let value = value(of: option, node, &reader) else {
        continue
      }
      model.options = (model.options ?? [:]).merging([option.name: value]) { $1 }
    }
    return model
  }

  private static func value(
    of option: ModelOption, _ node: Node, _ reader: inout JobNodeReader
  ) -> ModelOption.Value? {
    let path = "model.\(option.name)"
    func word(_ node: Node, _ words: [String]) -> String? {
      guard let word = reader.text(node, path, expected: option.expected) else { return nil }
      guard words.contains(word) else {
        let hint = NearestName.find(word, among: words).map { "; did you mean \($0)?" } ?? ""
        reader.fail(node, "\(path): found \"\(word)\", expected \(option.expected)\(hint)")
        return nil
      }
      return word
    }
    switch option.kind {
    case .integer(let range):
      return reader.integer(node, path, in: range).map { .integer($0) }
    case .number(let range):
      return reader.number(node, path, expected: option.expected, where: range.contains)
        .map { .number($0) }
    case .flag:
      return reader.boolean(node, path).map { .flag($0) }
    case .choice(let words):
      return word(node, words).map { .text($0) }
    case .choices(let words):
      guard let items = reader.list(node, path, expected: words.joined(separator: ", "), atMost: 64)
      else { return nil }
      let list = items.compactMap { word($0, words) }
      guard list.count == items.count else { return nil }
      guard !list.isEmpty else {
        reader.fail(node, "\(path): found an empty list, expected \(option.expected)")
        return nil
      }
      return .texts(list)
    case .integers(let range):
      guard let items = reader.list(node, path, expected: "whole numbers", atMost: 64)
      else { return nil }
      let list = items.compactMap { reader.integer($0, path, in: range) }
      return list.count == items.count ? .integers(list) : nil
    case .file:
      return reader.text(node, path, expected: option.expected).map { .text($0) }
    }
  }

  private static func quantiles(_ node: Node?, _ reader: inout JobNodeReader) -> [Double]? {
    guard let node,
      let items = reader.list(
        node, "quantiles", expected: "levels such as [0.1, 0.5, 0.9]", atMost: 999)
    else { return nil }
    let values = items.compactMap {
      reader.number(
        $0, "quantiles", expected: "a level above 0 and below 1", where: { $0 > 0 && $0 < 1 })
    }
    guard values.count == items.count else { return nil }
    if values.isEmpty {
      reader.fail(node, "quantiles: found an empty list, expected levels such as [0.1, 0.5, 0.9]")
      return nil
    }
    for index in values.indices.dropFirst() where values[index] <= values[index - 1] {
      reader.fail(
        items[index],
        "quantiles: \(values[index]) follows \(values[index - 1]), expected increasing levels; sort them and keep each once"
      )
      return nil
    }
    return values
  }

  private static func limits(_ node: Node?, _ reader: inout JobNodeReader) -> JobDefinition.Limits {
    var limits = JobDefinition.Limits()
    guard let node,
      let entries = reader.mapping(node, "limits", keys: ["timeBudget", "maxSeries"])
    else { return limits }
    if let node = entries["timeBudget"],
      let text = reader.text(node, "limits.timeBudget", expected: TimeSpan.expected)
    {
      if let span = TimeSpan(text) {
        limits.timeBudget = span
      } else {
        reader.fail(node, "limits.timeBudget: found \"\(text)\", expected \(TimeSpan.expected)")
      }
    }
    limits.maxSeries =
      reader.integer(entries["maxSeries"], "limits.maxSeries", in: 1...100_000_000)
      ?? limits.maxSeries
    return limits
  }
}
