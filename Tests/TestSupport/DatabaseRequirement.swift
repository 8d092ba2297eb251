import Foundation
import Postgres
package import Testing

extension Tag {
  /// Needs a PostgreSQL server on this machine.
  @Tag package static var database: Self
}

extension Trait where Self == ConditionTrait {
  /// Skips where PostgreSQL is not installed, unless `FORECAST_REQUIRE_DATABASE=1`: then the test
  /// runs, and fails with the message that names what to install.
  package static var requiresDatabase: Self {
    .enabled(
      if: DatabaseRequirement.isMet,
      "PostgreSQL's server programs are not installed (apt-get install postgresql)")
  }

  /// Skips unless root runs the tests, who may become other users.
  package static var requiresRoot: Self {
    .enabled(if: geteuid() == 0, "only root can start processes of other users")
  }

  /// Skips where file systems cannot be mounted: without root, and in most containers.
  package static var requiresMount: Self {
    .enabled(if: SmallDisk.canMount, "only root can mount a small disk to fill")
  }
}

private enum DatabaseRequirement {
  static let isMet: Bool = {
    let environment = ProcessInfo.processInfo.environment
    if environment["FORECAST_REQUIRE_DATABASE"] == "1" { return true }
    return (try? ClusterPrograms.locate(environment: environment)) != nil
  }()
}
