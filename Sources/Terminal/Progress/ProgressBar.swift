import Foundation
import Synchronization

/// Progress of long work on standard error: one moving line on a terminal, a few plain lines
/// elsewhere (at the start of a stage and at each quarter), so that logs stay readable.
///
/// Safe to call from any thread and cheap enough for an inner loop: a terminal is redrawn at most
/// ten times a second. Nothing moves without a terminal. The line clears itself when a stage ends.
///
/// ```swift
/// let progress = ProgressBar(environment: environment)
/// progress.stage("fit", total: 1000)
/// progress.update(420, detail: "loss 0.123")
/// progress.finish("fitted in 3.2 s")
/// ```
package final class ProgressBar: Sendable {
  private struct State {
    var line: ProgressLine?
    var started = 0.0
    var lastDrawn = -Double.infinity
    var isDrawn = false
    var quarter = 0
  }

  private static let interval = 0.1
  private static let clearLine = "\r\u{1B}[K"

  private let environment: TerminalEnvironment
  private let clock: @Sendable () -> Double
  private let write: @Sendable (String) -> Void
  private let state = Mutex(State())

  /// - Parameters:
  ///   - clock: monotonic seconds.
  ///   - write: where the text goes; standard error unless a test says otherwise.
  package init(
    environment: TerminalEnvironment,
    clock: @escaping @Sendable () -> Double = { ProcessInfo.processInfo.systemUptime },
    write: @escaping @Sendable (String) -> Void = {
      FileHandle.standardError.write(Data($0.utf8))
    }
  ) {
    self.environment = environment
    self.clock = clock
    self.write = write
  }

  /// Begins the next stage; a `total` of nil or 0 shows a spinner instead of a bar.
  package func stage(_ label: String, total: Int64? = nil, unit: ProgressLine.Unit = .count) {
    state.withLock { state in
      clear(&state)
      state.line = ProgressLine(label: label, total: total, unit: unit)
      state.started = clock()
      state.lastDrawn = -.infinity
      state.quarter = 0
      if environment.errorIsTerminal {
        draw(&state)
      } else {
        write(label.sanitized + "\n")
      }
    }
  }

  /// Says how far the stage is. A changed `total` (found out late) is taken over.
  package func update(_ completed: Int64, total: Int64? = nil, detail: String? = nil) {
    state.withLock { state in
      guard state.line != nil else { return }
      state.line?.completed = completed
      if let total { state.line?.total = total }
      if let detail { state.line?.detail = detail }
      refresh(&state)
    }
  }

  /// Adds to what is done.
  package func advance(by count: Int64 = 1, detail: String? = nil) {
    state.withLock { state in
      guard let line = state.line else { return }
      state.line?.completed = line.completed + count
      if let detail { state.line?.detail = detail }
      refresh(&state)
    }
  }

  /// Turns the spinner without news; for work that cannot report.
  package func tick() {
    state.withLock { if $0.line != nil { refresh(&$0) } }
  }

  /// Prints a line above the moving one, so that messages and progress do not mix.
  package func message(_ text: String) {
    state.withLock { state in
      let wasDrawn = state.isDrawn
      clear(&state)
      write(text + "\n")
      if wasDrawn { draw(&state) }
    }
  }

  /// Removes the line and, if given, leaves a summary in its place.
  package func finish(_ summary: String? = nil) {
    state.withLock { state in
      clear(&state)
      state.line = nil
      if let summary { write(summary + "\n") }
    }
  }

  /// Runs `work` under a spinner that turns by itself; the line is cleared however it ends.
  package func spinning<Value: Sendable>(
    _ label: String, _ work: @Sendable () async throws -> Value
  ) async rethrows -> Value {
    stage(label)
    guard environment.errorIsTerminal else {
      defer { finish() }
      return try await work()
    }
    let turning = Task {
      while !Task.isCancelled {
        tick()
        try await Task.sleep(for: .milliseconds(100))
      }
    }
    defer {
      turning.cancel()
      finish()
    }
    return try await work()
  }

  private func refresh(_ state: inout State) {
    guard let line = state.line else { return }
    if environment.errorIsTerminal {
      let isComplete = line.total.map { $0 > 0 && line.completed >= $0 } ?? false
      if isComplete || clock() - state.lastDrawn >= Self.interval { draw(&state) }
      return
    }
    guard let fraction = line.fraction else { return }
    let quarter = Int(fraction * 4)
    if quarter > state.quarter {
      state.quarter = quarter
      write(line.plain() + "\n")
    }
  }

  private func draw(_ state: inout State) {
    guard state.line != nil else { return }
    let now = clock()
    state.lastDrawn = now
    state.line?.elapsed = now - state.started
    state.line?.frame += 1
    state.isDrawn = true
    guard let line = state.line else { return }
    // The last column stays free: writing it makes some terminals wrap.
    let text = line.render(
      width: environment.width - 1, color: environment.errorColor, unicode: environment.unicode)
    write(Self.clearLine + text)
  }

  private func clear(_ state: inout State) {
    if state.isDrawn { write(Self.clearLine) }
    state.isDrawn = false
  }
}
