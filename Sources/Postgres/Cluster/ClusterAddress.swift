import Foundation

/// Where the embedded server listens. There is no password: the server asks the kernel who connects.
package struct ClusterAddress: Sendable, Equatable {
  /// The folder of the unix socket, libpq's `host`.
  package let socketDirectory: String
  package let port: Int
  package let user: String
  package let database: String

  package init(socketDirectory: String, port: Int, user: String, database: String) {
    self.socketDirectory = socketDirectory
    self.port = port
    self.user = user
    self.database = database
  }

  /// The same server, another database.
  package func with(database: String) -> ClusterAddress {
    ClusterAddress(
      socketDirectory: socketDirectory, port: port, user: user, database: database)
  }

  /// The same server and database, another role.
  package func with(user: String) -> ClusterAddress {
    ClusterAddress(
      socketDirectory: socketDirectory, port: port, user: user, database: database)
  }

  /// How the client connects.
  package var configuration: PostgresConfiguration {
    PostgresConfiguration(
      socketDirectory: socketDirectory, port: port, user: user, database: database)
  }

  /// A connection URL that `psql` and every libpq program understand.
  package var url: String {
    func escape(_ text: String) -> String {
      var allowed = CharacterSet.alphanumerics
      allowed.insert(charactersIn: "-._~/")
      return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? text
    }
    return "postgresql:///\(escape(database))?host=\(escape(socketDirectory))&port=\(port)"
      + "&user=\(escape(user))"
  }
}
