import ForecastService
import Forecasters
import Foundation
import Testing
import Training

let smallJob = """
  job: store-demand
  schedule: "0 2 * * *"
  timezone: Europe/Paris
  source:
    query: |
      SELECT series, ts, y
      FROM sales WHERE ts <= :cutoff
    frequency: 1 day
  horizon: 28
  """

private func problems(_ text: String) -> [String] {
  do {
    _ = try JobFileParser.parse(text, file: "a.yaml")
    return []
  } catch {
    return error.problems.map { $0.text(file: "a.yaml") }
  }
}

@Suite("Job files")
struct JobFileParserTests {
  @Test("a small file gets all defaults")
  func defaults() throws {
    let job = try JobFileParser.parse(smallJob, file: "a.yaml").definition
    #expect(job.job == "store-demand")
    #expect(job.schedule == "0 2 * * *")
    #expect(job.zone.identifier == "Europe/Paris")
    #expect(job.source.query == "SELECT series, ts, y\nFROM sales WHERE ts <= :cutoff")
    #expect(job.source.frequency == Frequency(1, .day))
    #expect(job.source.gaps == .mask)
    #expect(job.seasonality == [7])
    #expect(job.contextLength == 56)
    #expect(job.quantiles == [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
    #expect(job.calibration == .none)
    #expect(job.catchUp == .latest)
    #expect(job.overlap == .skip)
    #expect(job.model.kind == "lstm")
    #expect(job.limits.maxSeries == 1_000_000)
  }

  @Test("every key is read")
  func everything() throws {
    let text = """
      job: full
      schedule: '*/5 8-18 * * MON-FRI'
      timezone: America/New_York
      catchUp: all
      overlap: cancel-running
      source:
        query: SELECT series, ts, y FROM t WHERE ts <= :cutoff;
        frequency: 30 minutes
        gaps: forward-fill
        covariates: {historical: [], future: [], static: []}
      horizon: 48
      contextLength: 96
      seasonality: [336, 48]
      model: {kind: lstm, hidden: 32, layers: 2, dropout: 0.1}
      training: {steps: 10, batch: 4, learningRate: 1e-2, seed: 9, refit: always, validationWindows: 2, patience: 3}
      quantiles: [.1, 0.5, 9e-1]
      calibration: none
      limits: {timeBudget: 90 minutes, maxSeries: 5}
      """
    let job = try JobFileParser.parse(text, file: "a.yaml").definition
    #expect(job.schedule == "*/5 8-18 * * MON-FRI")
    #expect(job.catchUp == .all)
    #expect(job.overlap == .cancelRunning)
    #expect(job.source.gaps == .forwardFill)
    #expect(job.source.query.hasSuffix(":cutoff"))
    #expect(job.contextLength == 96)
    #expect(job.seasonality == [48, 336])
    #expect(job.model.hidden == 32 && job.model.layers == 2 && job.model.dropout == 0.1)
    #expect(job.training.steps == 10 && job.training.batch == 4)
    #expect(job.training.learningRate == 0.01 && job.training.seed == 9)
    #expect(job.training.validationWindows == 2 && job.training.patience == 3)
    #expect(job.quantiles == [0.1, 0.5, 0.9])
    #expect(job.limits.timeBudget.seconds == 5400 && job.limits.maxSeries == 5)
  }

  @Test("every key of the training is read, and means what the trainer does")
  func training() throws {
    func training(_ text: String) throws -> TrainingConfiguration {
      try JobFileParser.parse(smallJob + "\ntraining: {\(text)}\n", file: "a.yaml").definition
        .trainer
    }
    var expected = TrainingConfiguration(timeBudgetSeconds: 7200)
    #expect(try training("") == expected)
    #expect(try JobFileParser.parse(smallJob, file: "a.yaml").definition.trainer == expected)
    expected.accumulate = 3
    expected.longContexts = 0.3
    (expected.schedule, expected.warmup) = (.oneCycle, 40)
    (expected.optimiser, expected.weightDecay) = (.adamw, 0.05)
    (expected.clippingNorm, expected.clippingValue) = (0, 0.5)
    (expected.gradientNoise, expected.averaging) = (0.3, .swa)
    #expect(
      try training(
        "accumulate: 3, longContexts: 0.3, schedule: one-cycle, warmup: 40, optimiser: adamw, weightDecay: 0.05, clippingNorm: 0, clippingValue: 0.5, gradientNoise: 0.3, averaging: swa"
      ) == expected)
    var steps = TrainingConfiguration(timeBudgetSeconds: 7200)
    (steps.schedule, steps.gamma, steps.stepSize) = (.step, 0.5, 9)
    (steps.optimiser, steps.momentum, steps.nesterov) = (.sgd, 0.8, true)
    steps.averaging = .none
    #expect(
      try training(
        "schedule: step, gamma: 0.5, stepSize: 9, optimiser: sgd, momentum: 0.8, nesterov: true, averaging: none"
      ) == steps)
    for kind in OptimiserKind.allCases {
      #expect(
        try training("optimiser: \(kind.rawValue)")
          == TrainingConfiguration(optimiser: kind, timeBudgetSeconds: 7200))
    }
    for kind in ScheduleKind.allCases {
      #expect(try training("schedule: \(kind.rawValue)").schedule == kind)
    }
  }

  @Test("a definition that was stored before a key existed means its default")
  func olderDefinition() throws {
    var job = try JobFileParser.parse(smallJob, file: "a.yaml").definition
    job.training.steps = 77
    let json = try job.canonicalJSON()
    let training = try #require(json.firstMatch(of: /"training":{[^}]*}/)).output
    let older =
      #""training":{"batch":64,"learningRate":0.002,"patience":10,"refit":"always","seed":1,"steps":77,"validationWindows":1}"#
    #expect(training.count > older.count)
    #expect(try JobDefinition(canonicalJSON: json.replacing(training, with: older)) == job)
  }

  @Test(
    "a wrong line is named with its place, what was found and what to do",
    arguments: [
      (
        "horizon: 28", "horizon: 0",
        "a.yaml:9:10: horizon: found \"0\", expected a whole number from 1"
      ),
      ("horizon: 28", "horizon: \"28\"", "a.yaml:9:10: horizon: found \"28\""),
      ("horizon: 28", "horizon: [1]", "a.yaml:9:10: horizon: found a list"),
      ("horizon: 28", "horizn: 28", "unknown key \"horizn\"; did you mean horizon?"),
      (
        "horizon: 28", "horizon: 28\ncatch_up: all",
        "a.yaml:10:1: unknown key \"catch_up\"; did you mean catchUp?"
      ),
      ("horizon: 28", "horizon: 28\nhorizon: 3", "\"horizon\" is written more than once"),
      (
        "horizon: 28", "horizon: 28\nquantiles: [0.5, 0.1]",
        "a.yaml:10:18: quantiles: 0.1 follows 0.5"
      ),
      ("horizon: 28", "horizon: 28\nquantiles: [0, 0.1]", "a.yaml:10:13: quantiles: found \"0\""),
      ("horizon: 28", "horizon: 28\nquantiles: [.nan]", "quantiles: found \".nan\""),
      ("horizon: 28", "horizon: 28\nquantiles: []", "quantiles: found an empty list"),
      (
        "horizon: 28", "horizon: 28\ncontextLength: 1",
        "a.yaml:10:16: contextLength: found 1, which is too short"
      ),
      (
        "horizon: 28", "horizon: 28\nmodel: {hiden: 3}",
        "unknown key \"hiden\" in model; did you mean hidden?"
      ),
      ("horizon: 28", "horizon: 28\nmodel: {dropout: 1}", "model.dropout: found \"1\""),
      (
        "horizon: 28", "horizon: 28\nlimits: {timeBudget: soon}",
        "limits.timeBudget: found \"soon\""
      ),
      ("horizon: 28", "horizon: 28\noverlap: skp", "did you mean skip?"),
      ("horizon: 28", "horizon: 28\nseasonality: [7, 7]", "seasonality: found a value twice"),
      (
        "0 2 * * *", "0 25 * * *",
        "a.yaml:2:14: schedule: hour field, character 3: found \"25\", expected 0 to 23"
      ),
      ("0 2 * * *", "0 0 30 2 *", "the schedule would never run"),
      (
        "Europe/Paris", "Europe/Pariss",
        "a.yaml:3:11: timezone: found \"Europe/Pariss\", expected an IANA time zone such as Europe/Paris; did you mean Europe/Paris?"
      ),
      ("Europe/Paris", "GMT+2", "timezone: found \"GMT+2\""),
      ("1 day", "1 fortnight", "a.yaml:8:14: source.frequency: found \"1 fortnight\""),
      ("frequency: 1 day", "frequency:", "source.frequency: found nothing"),
      ("  frequency: 1 day\n", "", "a.yaml:5:3: the key source.frequency is missing"),
      (":cutoff", ":cutof", "a.yaml:7:28: source.query: unknown placeholder \":cutof\""),
      ("SELECT series", "DROP series", "a.yaml:6:5: source.query: the query begins with \"DROP\""),
      ("FROM sales", "FROM 'sales", "never ends"),
      ("job: store-demand", "job: store demand", "a.yaml:1:6: job: found \"store demand\""),
      ("job: store-demand\n", "", "the key job is missing"),
    ])
  func wrong(old: String, new: String, expected: String) {
    let text = smallJob.replacing(old, with: new)
    #expect(text != smallJob)
    let found = problems(text)
    #expect(found.contains { $0.contains(expected) }, "\(found)")
  }

  @Test(
    "what this version cannot do is refused with its line",
    arguments: [
      "calibration: conformal", "model: {kind: auto}",
      "model: [{kind: lstm}, {kind: theta}]", "training: {refit: every 7 days}",
      "training: {warmStart: true}",
    ])
  func unsupported(line: String) throws {
    let found = problems(smallJob + "\n" + line)
    #expect(found.count == 1)
    #expect(found.first?.hasPrefix("a.yaml:10:") == true)
    #expect(found.first?.contains("not supported by this version") == true)
  }

  @Test("options of a model are those of its kind, checked one by one and together")
  func modelOptions() throws {
    let text = smallJob + "\nmodel: {kind: gru, hidden: 48, heads: 4, reset: before}"
    let model = try JobFileParser.parse(text, file: "a.yaml").definition.model
    #expect(model.kind == "gru" && model.hidden == 48)
    #expect(model.options == ["heads": .integer(4), "reset": .text("before")])
    let dilated =
      smallJob + "\nmodel: {kind: dilated, layers: 2, dilations: [1, 7], residual: false}"
    #expect(
      try JobFileParser.parse(dilated, file: "a.yaml").definition.model.options
        == ["dilations": .integers([1, 7]), "residual": .flag(false)])
    for (line, words) in [
      ("{kind: grru}", "did you mean gru?"),
      ("{kind: lstm, reset: after}", "unknown key \"reset\""),
      ("{kind: gru, reset: befor}", "did you mean before?"),
      ("{kind: gru, heads: many}", "expected a whole number from 1 to 64"),
      ("{kind: dilated, dilations: 3}", "expected a list of whole numbers"),
      ("{kind: dilated, dilations: [1, 0]}", "expected a whole number from 1 to 100000"),
      ("{kind: dilated, layers: 3, dilations: [1, 2]}", "expected one for each of the 3 layers"),
      ("{kind: gru, hidden: 50, heads: 4}", "expected a divisor of hidden, which is 50"),
    ] {
      let found = problems(smallJob + "\nmodel: " + line)
      #expect(found.count == 1 && found[0].hasPrefix("a.yaml:10:"), "\(found)")
      #expect(found.first?.contains(words) == true, "\(found)")
    }
  }

  @Test("covariates are refused, empty ones are not")
  func covariates() {
    let with = smallJob.replacing(
      "  frequency", with: "  covariates: {historical: [price]}\n  frequency")
    #expect(problems(with).first?.hasPrefix("a.yaml:8:15: source.covariates: ") == true)
    let empty = smallJob.replacing(
      "  frequency", with: "  covariates: {historical: []}\n  frequency")
    #expect(problems(empty).isEmpty)
  }

  @Test("all problems come in one pass, in order of lines")
  func allAtOnce() {
    let text = smallJob.replacing("Europe/Paris", with: "Mars").replacing("28", with: "-1")
      .replacing("1 day", with: "often")
    #expect(problems(text).map { $0.split(separator: ":")[1] } == ["3", "8", "9"])
  }

  @Test(
    "broken YAML names a line",
    arguments: [
      ("job: [a\n", "a.yaml:2"), ("job: a\n\tb: c\n", "a.yaml:2"), ("job: 'a\n", "a.yaml:2"),
      ("a: b: c", "a.yaml:1"), ("", "a.yaml:1"), ("# nothing\n", "a.yaml:1"), ("- a\n", "a.yaml:1"),
      ("--- \na: 1\n---\nb: 2\n", "a.yaml:"), ("job: *x\n", "a.yaml:1"),
      ("? [a]\n: b\n", "a.yaml:1"),
    ])
  func brokenYAML(text: String, place: String) {
    let found = problems(text)
    #expect(found.first?.hasPrefix(place) == true, "\(found)")
  }

  @Test("a query without :cutoff is allowed with a warning")
  func warning() throws {
    let file = try JobFileParser.parse(
      smallJob.replacing("WHERE ts <= :cutoff", with: ""), file: "a.yaml")
    #expect(file.warnings.count == 1)
    #expect(file.warnings.first?.line == 5)
    #expect(file.warnings.first?.message.contains(":cutoff") == true)
    #expect(try JobFileParser.parse(smallJob, file: "a.yaml").warnings.isEmpty)
  }

  @Test("the digest does not see comments, order, or how a number is written")
  func digest() throws {
    let job = try JobFileParser.parse(smallJob, file: "a.yaml").definition
    let lines = smallJob.split(separator: "\n")
    let shuffled = (lines[8...] + lines[..<8]).joined(separator: "\n") + "  # weekly\n"
    let other = try JobFileParser.parse(
      shuffled + "catchUp: latest\ntraining: {learningRate: 0.0020}\n", file: "b.yaml"
    ).definition
    #expect(other == job)
    #expect(try other.digest() == job.digest())
    let changed = try JobFileParser.parse(smallJob + "\ntraining: {seed: 2}", file: "a.yaml")
    #expect(try changed.definition.digest() != job.digest())
    #expect(try job.digest().count == 32)
  }

  @Test("the canonical JSON comes back")
  func canonical() throws {
    let job = try JobFileParser.parse(smallJob, file: "a.yaml").definition
    let json = try job.canonicalJSON()
    #expect(try JobDefinition(canonicalJSON: json) == job)
    #expect(json.contains("\"frequency\":\"1 day\""))
    #expect(json.contains("\"timeBudget\":\"2 hours\""))
    let error = #expect(throws: JobFileError.self) {
      try JobDefinition(canonicalJSON: json.replacing("\"horizon\":28,", with: ""))
    }
    #expect(error?.description.contains("horizon") == true)
  }

  @Test("a directory is read in order of names, and a job twice names both files")
  func directory() throws {
    let directory = FileManager.default.temporaryDirectory.appending(
      path: "jobs-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    func write(_ name: String, _ text: String) throws {
      try Data(text.utf8).write(to: directory.appending(path: name))
    }
    #expect(throws: JobFilesError.self) { try JobFileParser.load(path: directory.path) }
    try write("b.yml", smallJob)
    try write("a.yaml", smallJob.replacing("store-demand", with: "other"))
    try write("readme.md", "no job")
    let files = try JobFileParser.load(path: directory.path)
    #expect(files.map(\.definition.job) == ["other", "store-demand"])
    #expect(try JobFileParser.load(path: files[0].file).count == 1)
    try write("c.yaml", smallJob)
    let twice = #expect(throws: JobFilesError.self) { try JobFileParser.load(path: directory.path) }
    #expect(twice?.description.contains("c.yaml:1:1") == true)
    #expect(twice?.description.contains("b.yml:1") == true)
    let missing = #expect(throws: JobFilesError.self) {
      try JobFileParser.load(path: directory.path + "/none.yaml")
    }
    #expect(missing?.description.contains("no such file") == true)
  }

  @Test("no change of bytes makes the reader crash", arguments: 0..<20)
  func mutations(seed: UInt64) {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    let pieces = [
      ":", "\n", "  ", "- ", "[", "]", "{", "}", "\"", "'", "|", ">", "*a", "&a ", "#", "\t", "~",
      "é", "0", "-1", "1e999", ":cutoff", "$$", "/*", "\u{0}", "?", "!!int ", "---\n", "%", "😀",
    ]
    let base = Array(
      (smallJob + "\nquantiles: [0.1, 0.5]\nmodel: {kind: lstm, hidden: 8}\n").unicodeScalars)
    for _ in 0..<100 {
      var text = base
      for _ in 0...random(6) {
        let place = random(text.count)
        switch random(3) {
        case 0: text.remove(at: place)
        case 1: text.insert(contentsOf: pieces[random(pieces.count)].unicodeScalars, at: place)
        default: text.removeSubrange(place..<min(text.count, place + random(20)))
        }
      }
      var view = String.UnicodeScalarView()
      view.append(contentsOf: text)
      for problem in problems(String(view)) {
        #expect(problem.hasPrefix("a.yaml:"))
      }
    }
  }

  @Test("deep nesting and many aliases are refused, not followed")
  func bombs() {
    #expect(!problems("job: " + String(repeating: "[", count: 100_000)).isEmpty)
    #expect(!problems(String(repeating: "- ", count: 100_000)).isEmpty)
    var text = "a: &a [x, x]\n"
    for index in 0..<40 {
      let name = "a\(index)"
      let before = index == 0 ? "a" : "a\(index - 1)"
      text += "\(name): &\(name) [*\(before), *\(before)]\n"
    }
    #expect(!problems(text + "quantiles: *a39\n").isEmpty)
  }

  /// Each list holds the one before it twice; as a key, all of it is compared.
  private func nested(_ count: Int) -> String {
    var text = "a0: &a0 [x, x]\n"
    for index in 1...count / 2 {
      text += "a\(index): &a\(index) [*a\(index - 1), *a\(index - 1)]\n"
    }
    return text + "? *a\(count / 2)\n: 1\n"
  }

  @Test("aliases of aliases as keys are refused before anything compares them")
  func aliasKeys() {
    #expect(
      problems(nested(80)) == [
        "a.yaml:10:10: found 81 aliases, expected at most 16; write the values out where *a8 stands"
      ])
    // As many as are allowed are read, and refused for what they say.
    #expect(problems(nested(14)).contains { $0.contains("unknown key \"a0\"") })
    #expect(!problems(nested(14)).contains { $0.contains("aliases") })
  }

  @Test("what looks like an alias in a query is none")
  func products() {
    let sum = (0..<60).map { "c\($0) *x" }.joined(separator: " + ")
    let text =
      "job: a\nsource:\n  query: |\n    SELECT s AS series, t AS ts, \(sum) AS y FROM b WHERE t <= :cutoff AND a &m = 0\n  frequency: 1 day\nhorizon: 2\n"
    #expect(problems(text).isEmpty, "\(problems(text))")
  }
}
