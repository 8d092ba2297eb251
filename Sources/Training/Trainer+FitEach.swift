import Dispatch
public import Forecasters
import Synchronization

extension Trainer {
  /// A forecaster and the panel it is fitted to alone: the work of ``Trainer/fitEach(_:threads:progress:)``.
  public struct Fit: Sendable {
    public let forecaster: ForecasterConfiguration
    public let panel: Panel

    public init(_ forecaster: ForecasterConfiguration, on panel: Panel) {
      self.forecaster = forecaster
      self.panel = panel
    }
  }

  /// Many small fits side by side, such as a model of its own for every series.
  ///
  /// Each fit runs on one thread, whatever the configuration says, and gives the bytes that
  /// ``Trainer/fit(_:on:resume:checkpointing:progress:)`` gives on one thread; the number of threads here
  /// changes nothing but the time. Threads take the next fit when they are free, and keep their memory for
  /// the next fit of the same forecaster. A time budget is that of each fit.
  ///
  /// - Parameter progress: called with the position of the fit after each of its steps, on that fit's
  ///   thread; what it throws ends that fit.
  /// - Returns: results in the order of `fits`; what one fit throws is its result and stops no other.
  public func fitEach(
    _ fits: [Fit], threads: Int,
    progress: @Sendable (Int, TrainingProgress) throws -> Void = { _, _ in }
  ) -> [Result<TrainingResult, any Error>] {
    guard !fits.isEmpty else { return [] }
    var single = configuration
    single.threads = 1
    let trainer = Trainer(single)
    let next = Atomic(0)
    let results = Mutex([Result<TrainingResult, any Error>?](repeating: nil, count: fits.count))
    // Not `parallel`, whose flushing of denormals would reach the optimiser: the bytes of `fit` are wanted.
    DispatchQueue.concurrentPerform(iterations: max(1, min(threads, fits.count))) { _ in
      var memory: TrainingMemory?
      while true {
        let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard number < fits.count else { return }
        let fit = fits[number]
        let result = Result<TrainingResult, any Error> {
          try trainer.configuration.validate()
          guard Registry.isNetwork(fit.forecaster.kind) else {
            return try trainer.fit(fit.forecaster, on: fit.panel)
          }
          if Registry.fitting(fit.forecaster.kind) == .leastSquares {
            return try trainer.fit(fit.forecaster, on: fit.panel) { try progress(number, $0) }
          }
          if memory?.network.configuration != fit.forecaster {
            memory = try trainer.makeMemory(fit.forecaster)
          }
          return try trainer.fit(on: fit.panel, memory!) { try progress(number, $0) }
        }
        results.withLock { $0[number] = result }
      }
    }
    return results.withLock { $0.map { $0! } }
  }
}
