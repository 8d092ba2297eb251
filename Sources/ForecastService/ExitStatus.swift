import Postgres
import Privacy

/// Exit code and message of an error, by the table of the documentation (sysexits.h): 64 usage, 65 bad
/// data, 69 database unavailable, 70 internal, 75 try again, 77 permission, 78 configuration.
package struct ExitStatus: Sendable {
  package let code: Int32
  package let message: String

  /// nil for errors that are none of ours: the argument parser words those.
  package init?(describing error: any Error) {
    switch error {
    case let error as ServiceError:
      message = error.message
      code = Self.code(of: error)
    case let error as PostgresError:
      message = "\(error)"
      code = Self.code(of: error)
    case let error as ClusterError:
      message = "\(error)"
      code = error.fault == .configuration ? 78 : 69
    case let error as JobFilesError:
      message = "\(error)"
      code = 78
    case let error as JobFileError:
      message = "\(error)"
      code = 78
    case let error as LoadError:
      message = "\(error)"
      code = 65
    case let error as PrivacyError:
      message = "\(error)"
      code =
        switch error.fault {
        case .usage: 64
        case .data: 65
        case .us: 70
        }
    case is CancellationError:
      message = "interrupted"
      code = 130
    default: return nil
    }
  }

  private static func code(of error: ServiceError) -> Int32 {
    switch error.fault {
    case .usage: 64
    case .data: 65
    case .configuration: 78
    case .database: error.code == .databaseUnavailable ? 69 : error.isTransient ? 75 : 70
    case .permission: 77
    case .operatorAsked: 75
    case .us: 70
    }
  }

  private static func code(of error: PostgresError) -> Int32 {
    if error.sqlState == "42501" { return 77 }
    switch error.fault {
    case .database: return 69
    case .configuration: return 78
    case .data: return 65
    case .us: return 70
    }
  }
}
