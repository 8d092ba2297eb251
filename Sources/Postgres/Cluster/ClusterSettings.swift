import Foundation

/// The configuration files of a new cluster.
enum ClusterSettings {
  /// `forecast.conf`, which `postgresql.conf` includes last. Written once, when the cluster is made,
  /// so it can be edited; `ALTER SYSTEM` overrides it as usual.
  static func configuration(memoryBytes: UInt64) -> String {
    // Modest: the machine also trains models.
    let sharedMegabytes = min(512, max(64, memoryBytes / 16 / 1_048_576))
    return """
      # Settings of the embedded forecast cluster. Edit, then restart it with
      # forecastctl db stop, forecastctl db start. Socket and port are given on the command line.

      shared_buffers = '\(sharedMegabytes)MB'
      work_mem = '16MB'
      maintenance_work_mem = '128MB'

      # Durable, and quick for bulk loads: few checkpoints; a table filled in the transaction that
      # made it is synced once instead of being logged row by row. No replication in exchange.
      fsync = on
      synchronous_commit = on
      wal_level = minimal
      max_wal_senders = 0
      max_wal_size = '2GB'
      checkpoint_timeout = '15min'

      # One file per weekday, overwritten a week later.
      logging_collector = on
      log_directory = '../log'
      log_filename = 'postgres-%a.log'
      log_file_mode = 0600
      log_rotation_age = '1d'
      log_rotation_size = 0
      log_truncate_on_rotation = on
      log_line_prefix = '%m [%p] %q%u@%d %a '
      log_checkpoints = off
      log_timezone = 'UTC'

      # The user bears the name of the product's schema, which "$user" would put first.
      search_path = 'public'
      timezone = 'UTC'
      random_page_cost = 1.1
      jit = off

      """
  }

  /// Only the socket, and only the user of the server and root, whom the kernel vouches for.
  static let hostAuthentication = """
    # TYPE  DATABASE  USER  METHOD
    local   all       all   peer map=forecast

    """

  static func identityMap(serverUser: String, role: String) -> String {
    let systemUsers = serverUser == "root" ? ["root"] : [serverUser, "root"]
    return "# MAP  SYSTEM-USER  ROLE\n"
      + systemUsers.map { "forecast  \(quoted($0))  \(quoted(role))\n" }.joined()
  }

  static func quoted(_ name: String) -> String {
    "\"" + name.replacingOccurrences(of: "\"", with: "\"\"") + "\""
  }
}
