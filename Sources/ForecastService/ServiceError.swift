import Foundation
import Postgres

/// What went wrong between a job file and a published run, in one sentence an operator can act on.
///
/// The description names job, run or series, what was found and expected, and what to do. It never
/// holds values of the data or a secret, so it may be stored and logged.
package struct ServiceError: Error, Sendable, CustomStringConvertible {
  package enum Code: String, Sendable, CaseIterable {
    case jobFile = "job-file"
    case unknownJob = "unknown-job"
    case unknownRun = "unknown-run"
    case badArgument = "bad-argument"
    case query = "query"
    case queryColumns = "query-columns"
    case noRows = "no-rows"
    case noUsableSeries = "no-usable-series"
    case tooManySeries = "too-many-series"
    case training = "training"
    case prediction = "prediction"
    case timeBudget = "time-budget"
    /// A charge that a privacy budget cannot bear.
    case privacyBudget = "privacy-budget"
    case unknownBudget = "unknown-budget"
    /// The ledger is not the one that this machine has seen, or what it has seen cannot be read.
    case privacyWitness = "privacy-witness"
    case staleAttempt = "stale-attempt"
    case workerLost = "worker-lost"
    case databaseUnavailable = "database-unavailable"
    case database = "database"
    case schemaNotReady = "schema-not-ready"
    case interrupted = "interrupted"
    case internalFault = "internal"
  }

  /// Whose fault it is: decides the exit code of the shells.
  package enum Fault: Sendable {
    case usage, data, configuration, database, permission, operatorAsked, us
  }

  package let code: Code
  package let message: String
  package let isTransient: Bool

  package init(_ code: Code, _ message: String, isTransient: Bool? = nil) {
    self.code = code
    self.message = message
    self.isTransient = isTransient ?? Self.isTransient(code)
  }

  package var description: String { message }

  package var fault: Fault {
    switch code {
    case .unknownJob, .unknownRun, .unknownBudget, .badArgument: .usage
    case .query, .queryColumns, .noRows, .noUsableSeries, .tooManySeries, .training, .prediction,
      .timeBudget:
      .data
    case .jobFile, .schemaNotReady, .privacyWitness: .configuration
    case .privacyBudget: .permission
    case .databaseUnavailable, .database, .staleAttempt, .workerLost: .database
    case .interrupted: .operatorAsked
    case .internalFault: .us
    }
  }

  private static func isTransient(_ code: Code) -> Bool {
    switch code {
    case .databaseUnavailable, .staleAttempt, .workerLost, .interrupted: true
    default: false
    }
  }

  /// The same failure as one of ours; errors of ours and cancellations pass unchanged.
  package static func wrapping(_ error: any Error, _ context: String) -> any Error {
    switch error {
    case is CancellationError, is ServiceError: return error
    case let error as PostgresError:
      return ServiceError(
        error.isTransient ? .databaseUnavailable : .database, "\(context): \(error)",
        isTransient: error.isTransient)
    default:
      return ServiceError(.internalFault, "\(context): \(error)")
    }
  }
}
