import ForecastService
import Foundation
import Testing

/// Whole messages as an operator reads them, and the files that the repository itself holds.
@Suite("Messages of job files")
struct JobFileMessagesTests {
  private func lines(_ text: String) -> [String] {
    do {
      _ = try JobFileParser.parse(text, file: "a.yaml")
      return []
    } catch {
      return error.description.split(separator: "\n").map(String.init)
    }
  }

  @Test(
    "a message is exactly this line",
    arguments: [
      (
        "horizon: 28", "horizon: \"28\"",
        "a.yaml:9:10: horizon: found \"28\", expected a whole number from 1 to 10000; remove the quotes"
      ),
      (
        "horizon: 28", "horizon: 10001",
        "a.yaml:9:10: horizon: found \"10001\", expected a whole number from 1 to 10000"
      ),
      (
        "horizon: 28", "horizon: 028",
        "a.yaml:9:10: horizon: found \"028\", expected a whole number from 1 to 10000"
      ),
      (
        "horizon: 28", "horizon: yes",
        "a.yaml:9:10: horizon: found \"yes\", expected a whole number from 1 to 10000"
      ),
      (
        "horizon: 28", "horizon: 28\nmodel: {layers: 17}",
        "a.yaml:10:17: model.layers: found \"17\", expected a whole number from 1 to 16"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {steps: 1000001}",
        "a.yaml:10:19: training.steps: found \"1000001\", expected a whole number from 1 to 1000000"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {batch: 65537}",
        "a.yaml:10:19: training.batch: found \"65537\", expected a whole number from 1 to 65536"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {seed: -1}",
        "a.yaml:10:18: training.seed: found \"-1\", expected a whole number of 0 or more"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {learningRate: 0}",
        "a.yaml:10:26: training.learningRate: found \"0\", expected a number above 0 and not above 10, such as 1e-3"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {optimiser: adamW}",
        "a.yaml:10:23: training.optimiser: found \"adamW\", expected one of adam, adamw, radam, sgd, adagrad; did you mean adamw?"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {optimizer: adam}",
        "a.yaml:10:12: unknown key \"optimizer\" in training; did you mean optimiser?"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {schedule: onecycle}",
        "a.yaml:10:22: training.schedule: found \"onecycle\", expected one of constant, linear, cosine, one-cycle, step; did you mean one-cycle?"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {averaging: off}",
        "a.yaml:10:23: training.averaging: found \"off\", expected one of ema, swa, none"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {warmup: 600}",
        "a.yaml:10:20: training.warmup: found 600, expected at most 500, the steps in all"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {momentum: 0.5}",
        "a.yaml:10:22: training.momentum: has no effect here; write optimiser: sgd, or remove momentum"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {stepSize: 5}",
        "a.yaml:10:22: training.stepSize: has no effect here; write schedule: step, or remove stepSize"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {optimiser: sgd, nesterov: yes}",
        "a.yaml:10:38: training.nesterov: found \"yes\", expected true or false"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {optimiser: sgd, momentum: 0, nesterov: true}",
        "a.yaml:10:51: training.nesterov: the momentum is 0, expected a momentum above 0"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {clippingNorm: none}",
        "a.yaml:10:26: training.clippingNorm: found \"none\", expected a number of 0 (none) or more, such as 1"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {gradientNoise: -0.1}",
        "a.yaml:10:27: training.gradientNoise: found \"-0.1\", expected a number of 0 (none) or more, such as 0.01"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {longContexts: 2}",
        "a.yaml:10:26: training.longContexts: found \"2\", expected a share of the steps from 0 to 1, such as 0.25"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {accumulate: 0}",
        "a.yaml:10:24: training.accumulate: found \"0\", expected a whole number from 1 to 65536"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {warmStart: no}",
        "a.yaml:10:23: training.warmStart: found \"no\", expected false"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {warmStart: 'false'}",
        "a.yaml:10:23: training.warmStart: found \"false\", expected false; remove the quotes"
      ),
      (
        "horizon: 28", "horizon: 28\ntraining: {warmStart: true}",
        "a.yaml:10:23: training.warmStart: a warm start is not supported by this version; write warmStart: false"
      ),
      (
        "horizon: 28", "horizon: 28\nseasonality: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]",
        "a.yaml:10:14: seasonality: found 17 values, expected at most 16"
      ),
      (
        "horizon: 28", "horizon: 28\ncatchUp: no",
        "a.yaml:10:10: catchUp: found \"no\", expected one of none, latest, all"
      ),
      (
        "job: store-demand", "job: Store-Demand",
        "a.yaml:1:6: job: found \"Store-Demand\", expected a name of at most 63 lower-case letters, digits, - _ and ., beginning with a letter or digit; did you mean store-demand?"
      ),
      (
        "job: store-demand", "job: no",
        "a.yaml:1:6: job: found no, which is true or false in YAML, expected a name of at most 63 lower-case letters, digits, - _ and ., beginning with a letter or digit; put it in quotes if it is meant as text"
      ),
      (
        "<= :cutoff", "<= :now AND a::text <> ':x'",
        "a.yaml:7:28: source.query: unknown placeholder \":now\", expected :cutoff, the only one there is"
      ),
      (
        "<= :cutoff", "<= :cutoff; DROP TABLE t",
        "a.yaml:7:35: source.query: found a second statement after \";\", expected one; use WITH to combine them"
      ),
      (
        "horizon: 28", "horizon: 28\n---\njob: other",
        "a.yaml:10:1: a second document begins here, expected one job; give it its own file"
      ),
      (
        "horizon: 28", "horizon: 28\nhorizon: 29",
        "a.yaml:9:1: the key \"horizon\" is written more than once in one mapping; keep one"
      ),
      (
        "horizon: 28", "horizon: 28 \u{7}",
        "a.yaml:9:13: broken YAML: control characters are not allowed; remove the character here or write it as an escape in double quotes"
      ),
    ])
  func exact(old: String, new: String, expected: String) {
    #expect(smallJob.contains(old))
    #expect(lines(smallJob.replacing(old, with: new)) == [expected])
  }

  @Test("text in quotes may read like a boolean")
  func quotedBoolean() throws {
    let file = try JobFileParser.parse(
      smallJob.replacing("job: store-demand", with: "job: 'no'"), file: "a.yaml")
    #expect(file.definition.job == "no")
  }

  @Test("a NUL in a query is refused, because the server would stop reading there")
  func nul() {
    let text = """
      job: a
      source: {query: "SELECT 1\\0 WHERE t <= :cutoff", frequency: 1 day}
      horizon: 1
      """
    #expect(
      lines(text) == [
        "a.yaml:2:26: source.query: found a NUL character, which SQL cannot hold; remove it"
      ])
  }

  @Test("a file named directly and by its directory is read once")
  func namedTwice() throws {
    let directory = FileManager.default.temporaryDirectory.appending(
      path: "jobs-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let file = directory.appending(path: "a.yaml")
    try Data(smallJob.utf8).write(to: file)
    let files = try JobFileParser.load(paths: [
      directory.path, file.path, directory.path + "/./a.yaml",
    ])
    #expect(files.map(\.definition.job) == ["store-demand"])
  }

  @Test("the problems of all files come together")
  func allFiles() throws {
    let directory = FileManager.default.temporaryDirectory.appending(
      path: "jobs-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    for (name, horizon) in [("a.yaml", "0"), ("b.yaml", "x")] {
      try Data(smallJob.replacing("28", with: horizon).utf8).write(
        to: directory.appending(path: name))
    }
    let missing = directory.path + "/none.yaml"
    let error = #expect(throws: JobFilesError.self) {
      try JobFileParser.load(paths: [missing, directory.path])
    }
    let places = error?.description.split(separator: "\n").map {
      $0.replacing(directory.path + "/", with: "").prefix { $0 != " " }
    }
    #expect(places == ["none.yaml:1:1:", "a.yaml:9:10:", "b.yaml:9:10:"])
  }

  /// The root of the repository, from this file's place in it.
  private static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  @Test("the jobs of the demo are valid, exact and survive storage")
  func demoJobs() throws {
    let files = try JobFileParser.load(path: Self.root.appending(path: "jobs").path)
    #expect(
      files.map(\.definition.job) == [
        "air-passengers", "m3-monthly-private", "m3-monthly", "paris-mobility-private",
        "paris-mobility",
      ])
    for file in files {
      #expect(file.warnings.isEmpty)
      let json = try file.definition.canonicalJSON()
      let back = try JobDefinition(canonicalJSON: json)
      #expect(back == file.definition)
      #expect(try back.digest() == file.definition.digest())
    }
  }

  @Test("the example of the documentation is valid and names every key")
  func documentation() throws {
    let page = try String(
      contentsOf: Self.root.appending(path: "docs/job-file.md"), encoding: .utf8)
    let parts = page.components(separatedBy: "```yaml\n")
    #expect(parts.count == 2)
    let example = try #require(parts.last?.components(separatedBy: "```").first)
    let file = try JobFileParser.parse(example, file: "docs/job-file.md")
    #expect(file.warnings.isEmpty)
    #expect(file.definition.model.layers == 2)
    // What is stored holds every key that has a value, so the example has to name each of them.
    let json = try file.definition.canonicalJSON()
    let keys = json.matches(of: /"([A-Za-z]+)":/).map { String($0.1) }
    #expect(keys.count > 25)
    for key in keys { #expect(example.contains("\(key):"), "\(key)") }
  }
}
