package import Foundation

/// The operating-system user the server runs as: PostgreSQL refuses to run as root.
package struct ServerAccount: Sendable, Equatable {
  package let name: String
  package let uid: uid_t
  package let gid: gid_t
  /// What comes before a command to run it as this user; empty when that is who we are.
  package let prefix: [String]

  /// The current user, or for root an unprivileged one: the owner of the directory where that is
  /// somebody else, else `postgres`, else `nobody`.
  package static func choose(directory: String, environment: [String: String]) throws
    -> ServerAccount
  {
    let me = geteuid()
    guard me == 0 else {
      return ServerAccount(name: try userName(of: me), uid: me, gid: getegid(), prefix: [])
    }
    var information = stat()
    let owner: passwd?
    if stat(directory, &information) == 0, information.st_uid != 0 {
      owner = getpwuid(information.st_uid)?.pointee
    } else {
      owner = (getpwnam("postgres") ?? getpwnam("nobody"))?.pointee
    }
    guard let owner, owner.pw_uid != 0 else {
      throw ClusterError(
        .directoryUnusable,
        "PostgreSQL does not run as root and there is no user to run it as: create the user "
          + "postgres, or run this command as an ordinary user.")
    }
    let folders = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
    guard
      let setpriv = (folders + ["/usr/bin", "/bin"]).map({ $0 + "/setpriv" })
        .first(where: { access($0, X_OK) == 0 })
    else {
      throw ClusterError(
        .programsMissing,
        "PostgreSQL does not run as root and setpriv is not installed: install the package "
          + "util-linux, or run this command as an ordinary user.")
    }
    return ServerAccount(
      name: String(cString: owner.pw_name), uid: owner.pw_uid, gid: owner.pw_gid,
      prefix: [
        setpriv, "--reuid=\(owner.pw_uid)", "--regid=\(owner.pw_gid)", "--clear-groups", "--",
      ])
  }

  private static func userName(of uid: uid_t) throws -> String {
    guard let entry = getpwuid(uid) else {
      throw ClusterError(
        .directoryUnusable,
        "The user id \(uid) has no name in the user database, which PostgreSQL needs: run as a "
          + "named user, or name a database of your own in FORECAST_DATABASE_URL.")
    }
    return String(cString: entry.pointee.pw_name)
  }
}
