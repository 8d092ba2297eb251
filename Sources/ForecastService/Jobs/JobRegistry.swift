package import Postgres

/// Puts job definitions into the database and takes them out.
package struct JobRegistry: Sendable {
  package enum Change: Sendable, Equatable {
    case unchanged(version: Int)
    case created
    case updated(version: Int)
  }

  private let pool: PostgresPool

  package init(pool: PostgresPool) { self.pool = pool }

  /// Registers all of `files` or none. A definition that says the same as the current version is left
  /// alone; a different one becomes the next version.
  package func apply(_ files: [JobFile]) async throws -> [(job: String, change: Change)] {
    try await pool.withTransaction { connection in
      var changes: [(job: String, change: Change)] = []
      for file in files.sorted(by: { $0.definition.job < $1.definition.job }) {
        let definition = file.definition
        _ = try await connection.run(LockJobName(jobName: definition.job))
        let found = try await connection.run(FindJob(jobName: definition.job)).first
        let digest = try definition.digest()
        if let found, found.digest == digest {
          changes.append((definition.job, .unchanged(version: found.version)))
          continue
        }
        let version = try await connection.run(
          InsertJobVersion(
            jobName: definition.job, schedule: definition.schedule,
            timezone: definition.timezone, definition: try definition.canonicalJSON(),
            sourceText: file.text, digest: digest)
        ).first
        changes.append((definition.job, found == nil ? .created : .updated(version: version ?? 0)))
      }
      return changes
    }
  }

  /// The current version of a job.
  ///
  /// - Throws: `ServiceError.unknownJob`, naming the nearest known job.
  package func find(_ name: String) async throws -> FindJob.Row {
    if let found = try await pool.run(FindJob(jobName: name)).first { return found }
    let names = try await pool.run(ListJobNames())
    let hint =
      names.isEmpty
      ? "no job is registered yet, see `forecastctl apply`"
      : "known jobs: \(names.prefix(10).joined(separator: ", "))\(names.count > 10 ? ", …" : "")"
    throw ServiceError(.unknownJob, "there is no job \"\(name)\"; \(hint)")
  }
}
