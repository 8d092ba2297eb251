import Foundation
package import Postgres

/// Which database a command talks to: a URL given on the command line, `FORECAST_DATABASE_URL`,
/// libpq's own settings (`PG*`, service file, password file), else the embedded private cluster.
package enum DatabaseChoice: Sendable {
  case given(PostgresConfiguration)
  case embedded(EmbeddedCluster)

  /// The variables whose presence says that libpq's own settings are meant.
  private static let libpqVariables = [
    "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE",
  ]

  package static func resolve(
    url: String?, environment: [String: String], applicationName: String
  ) throws -> DatabaseChoice {
    func named(_ configuration: PostgresConfiguration) -> PostgresConfiguration {
      var configuration = configuration
      configuration.applicationName = applicationName
      return configuration
    }
    if let url = url ?? environment["FORECAST_DATABASE_URL"], !url.isEmpty {
      return .given(named(try PostgresConfiguration(url: url, environment: environment)))
    }
    if libpqVariables.contains(where: { environment[$0]?.isEmpty == false }) {
      return .given(named(try PostgresConfiguration(url: nil, environment: environment)))
    }
    return .embedded(
      EmbeddedCluster(
        directory: EmbeddedCluster.defaultDirectory(environment: environment),
        environment: environment))
  }
}
