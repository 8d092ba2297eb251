import Forecasters
import Postgres
import Privacy
package import Training

/// The audit of what a job claims, whatever makes it private; see `PrivateAudit`.
///
/// It needs the definition only: the series are made up, nothing private is read, and nothing is charged.
package struct JobAudit: Sendable {
  package let definition: JobDefinition

  package init(_ definition: JobDefinition) { self.definition = definition }

  /// The job of a file.
  ///
  /// - Throws: `JobFilesError`, `JobFileError`; `ServiceError.badArgument` where there is not exactly one.
  package init(path: String) throws {
    let files = try JobFileParser.load(paths: [path])
    guard let file = files.first, files.count == 1 else {
      throw ServiceError(
        .badArgument, "\(path) holds \(files.count) jobs, expected one: name a single file")
    }
    self.init(file.definition)
  }

  /// The current version of a registered job.
  ///
  /// - Throws: `ServiceError.unknownJob`.
  package init(name: String, in registry: JobRegistry) async throws {
    self.init(try JobDefinition(canonicalJSON: await registry.find(name).definition))
  }

  /// - Parameters:
  ///   - canaries, steps, confidence: nil for what is usual; of noise on inputs steps are time slots.
  ///   - threads: also for the memory that is needed.
  /// - Throws: `ServiceError.badArgument` for a job that claims no privacy, or numbers that are impossible; what
  ///   `progress` throws.
  package func run(
    canaries: Int? = nil, steps: Int? = nil, confidence: Double = 0.95, threads: Int = 1,
    progress: (Double) throws -> Void = { _ in }
  ) throws -> PrivateAudit {
    let job = definition.job
    do {
      if let inputs = definition.privacy?.inputs {
        return try InputAudit(grid: definition.grid, inputs: inputs).run(
          canaries: canaries, steps: steps, confidence: confidence, progress: progress)
      }
      guard let trainer = definition.privateTrainer else {
        throw ServiceError(
          .badArgument,
          "job \(job) has no privacy section: it claims nothing that could be audited; see docs/privacy.md"
        )
      }
      var configuration = trainer.configuration
      configuration.threads = threads
      return try PrivateTrainer(configuration, privacy: trainer.privacy).audit(
        definition.forecaster, canaries: canaries, steps: steps, confidence: confidence
      ) { try progress($0.fraction) }
    } catch let error as TrainingError where error.code == .badConfiguration {
      throw ServiceError(.badArgument, "job \(job): \(error)")
    } catch let error as TrainingError {
      throw ServiceError(.training, "audit of job \(job): \(error)")
    } catch let error as ForecasterError {
      throw ServiceError(.badArgument, "job \(job): \(error)")
    } catch let error as PrivacyError {
      throw ServiceError(.badArgument, "job \(job): \(error)")
    }
  }
}
