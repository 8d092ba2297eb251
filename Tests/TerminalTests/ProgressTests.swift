import Synchronization
import Terminal
import Testing

@Suite("Progress")
struct ProgressTests {
  /// What was written, and the time by hand.
  private final class Recorder: Sendable {
    private let state = Mutex((written: [String](), seconds: 0.0))
    var written: [String] { state.withLock { $0.written } }
    var seconds: Double { state.withLock { $0.seconds } }
    func write(_ text: String) { state.withLock { $0.written.append(text) } }
    func advance(_ by: Double) { state.withLock { $0.seconds += by } }

    func bar(terminal isTerminal: Bool) -> ProgressBar {
      var environment = terminal(80)
      environment.errorIsTerminal = isTerminal
      return ProgressBar(
        environment: environment, clock: { self.seconds }, write: { self.write($0) })
    }
  }

  @Test("without a terminal a stage is a line, and so is each quarter")
  func plain() {
    let recorder = Recorder()
    let bar = recorder.bar(terminal: false)
    bar.stage("fit", total: 1000)
    for step in 1...1000 {
      recorder.advance(0.01)
      bar.update(Int64(step), detail: "loss 0.5")
    }
    bar.stage("publish")
    bar.tick()
    bar.finish("done")
    #expect(
      recorder.written == [
        "fit\n", "fit 25 % (250/1,000), loss 0.5\n", "fit 50 % (500/1,000), loss 0.5\n",
        "fit 75 % (750/1,000), loss 0.5\n", "fit 100 % (1,000/1,000), loss 0.5\n", "publish\n",
        "done\n",
      ])
  }

  @Test("on a terminal one line is redrawn at most ten times a second and cleared at the end")
  func animated() {
    let recorder = Recorder()
    let bar = recorder.bar(terminal: true)
    bar.stage("fit", total: 1001)
    for step in 1...1000 {
      recorder.advance(0.001)
      bar.update(Int64(step))
    }
    #expect((9...12).contains(recorder.written.count))
    #expect(recorder.written.allSatisfy { $0.hasPrefix("\r\u{1B}[K") && !$0.contains("\n") })
    bar.message("a warning")
    #expect(recorder.written.suffix(3).first == "\r\u{1B}[K")
    #expect(recorder.written.suffix(2).first == "a warning\n")
    bar.finish()
    #expect(recorder.written.last == "\r\u{1B}[K")
    let count = recorder.written.count
    bar.update(5)
    #expect(recorder.written.count == count)
  }

  @Test("the spinner turns while work runs and the line is gone when it fails")
  func spinner() async {
    struct Broken: Error {}
    let recorder = Recorder()
    let bar = recorder.bar(terminal: true)
    await #expect(throws: Broken.self) { try await bar.spinning("wait") { throw Broken() } }
    #expect(recorder.written.first?.contains("wait") == true)
    #expect(recorder.written.last == "\r\u{1B}[K")
  }

  @Test("the line looks as it was designed")
  func golden() {
    var line = ProgressLine(
      label: "fit", completed: 420, total: 1000, detail: "loss 0.123", elapsed: 3.5)
    #expect(
      line.render(width: 80, color: false, unicode: true)
        == "fit  ━━━━━━━━────────────   42 %  420/1,000  120/s  5 s left  loss 0.123")
    #expect(
      line.render(width: 60, color: false, unicode: false)
        == "fit  [==>   ]   42 %  420/1,000  120/s  5 s left  loss 0.123")
    line.total = nil
    #expect(
      line.render(width: 80, color: false, unicode: true)
        == "fit  ⠋  420  120/s  3 s  loss 0.123")
  }

  @Test("the line fits any width", arguments: [nil, 0, 1000, 7_000_000_000] as [Int64?])
  func fits(_ total: Int64?) {
    for width in 1...120 {
      for completed in [0, 1, 500, 1000, 6_999_999_999] as [Int64] {
        for unit in [ProgressLine.Unit.count, .bytes] {
          let line = ProgressLine(
            label: "読む read", completed: completed, total: total, unit: unit,
            detail: "loss\n0.1", elapsed: 12, frame: 3)
          for unicode in [true, false] {
            let text = line.render(width: width, color: true, unicode: unicode)
            #expect(columns(text) <= width)
            #expect(!text.contains("\n"))
          }
        }
      }
    }
  }
}
