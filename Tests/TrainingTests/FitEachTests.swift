import Forecasters
import Synchronization
import TestSupport
import Testing
import Training

@Suite("Many small fits")
struct FitEachTests {
  private let training = TrainingConfiguration(steps: 8, batch: 6, threads: 4)

  private var fits: [Trainer.Fit] {
    let series = Sample.seasonal(9)
    return series.indices.map { number in
      var configuration = Sample.configuration
      // Two architectures in turn, so that memory is now used again and now not.
      if number % 3 == 1 { configuration.hidden = 5 }
      return Trainer.Fit(configuration, on: Sample.panel([series[number]]))
    }
  }

  @Test("results come in order, and are those of each fit alone, whatever the number of threads")
  func same() throws {
    var single = training
    single.threads = 1
    let alone = try fits.map {
      try Trainer(single).fit($0.forecaster, on: $0.panel).forecaster.encoded()
    }
    #expect(Set(alone).count == alone.count)
    for threads in [1, 2, 3, 20] {
      let results = Trainer(training).fitEach(fits, threads: threads)
      #expect(try results.map { try $0.get().forecaster.encoded() } == alone, "\(threads) threads")
    }
  }

  @Test("a fit that fails is its own result and stops no other")
  func failures() throws {
    var fits = fits
    fits[2] = Trainer.Fit(Sample.configuration, on: Sample.panel([[1, 2]]))
    var impossible = Sample.configuration
    impossible.hidden = 0
    fits[5] = Trainer.Fit(impossible, on: fits[5].panel)
    let results = Trainer(training).fitEach(fits, threads: 2)
    for (number, result) in results.enumerated() {
      switch (number, result) {
      case (2, .failure(let error)): #expect((error as? TrainingError)?.code == .noWindows)
      case (5, .failure(let error)): #expect((error as? ForecasterError)?.code == .badConfiguration)
      case (_, .success(let fitted)): #expect(fitted.steps >= 8)
      default: Issue.record("fit \(number): \(result)")
      }
    }
    var wrong = training
    wrong.steps = 0
    for result in Trainer(wrong).fitEach(fits, threads: 2) {
      #expect(throws: TrainingError.self) { try result.get() }
    }
    #expect(Trainer(training).fitEach([], threads: 3).isEmpty)
  }

  @Test("progress names the fit, and what it throws ends that fit alone")
  func progress() {
    let steps = Mutex([Int](repeating: 0, count: 9))
    let results = Trainer(training).fitEach(fits, threads: 2) { number, progress in
      steps.withLock { $0[number] += 1 }
      if number == 4 { throw CancellationError() }
    }
    for (number, result) in results.enumerated() {
      let seen = steps.withLock { $0[number] }
      if number == 4 {
        #expect(throws: CancellationError.self) { try result.get() }
        #expect(seen == 1)
      } else {
        #expect((try? result.get())?.steps == seen)
      }
    }
  }
}
