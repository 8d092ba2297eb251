import Foundation

/// One attempt to get a cluster to answer: the steps of `EmbeddedCluster.ensureRunning`, blocking.
struct ClusterStart {
  let cluster: EmbeddedCluster
  let progress: (ClusterProgress) -> Void
  let cancellation: CancellationFlag

  private var layout: ClusterLayout { cluster.layout }

  func run() throws -> ClusterAddress {
    if let file = liveServer(), file.status == "ready" {
      let address = cluster.address(of: file)
      if ClusterProbe.check(address) == .connected { return address }
    }
    let account = try ServerAccount.choose(
      directory: layout.directory, environment: cluster.environment)
    try prepareDirectory(account)
    let lock = try FileLock(layout.lock, owner: account) {
      progress(.waitingForOtherProcess)
    }
    defer { lock.release() }
    try cancellation.check()
    let began = ContinuousClock.now
    let (address, started) = try startLocked(account)
    let created = try ensureDatabase(address)
    if started || created {
      progress(.ready(address, seconds: (ContinuousClock.now - began) / .seconds(1)))
    }
    return address
  }

  private func liveServer() -> PostmasterFile? {
    PostmasterFile.read(dataDirectory: layout.data)
      .flatMap { $0.isAlive(dataDirectory: layout.data) ? $0 : nil }
  }

  // MARK: Directory

  /// Creates the directory for the server's user, or takes an empty one over. One with other
  /// contents is refused, so that a mistyped path never changes owner or permissions.
  private func prepareDirectory(_ account: ServerAccount) throws {
    let path = layout.directory
    let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
    do {
      try FileManager.default.createDirectory(
        atPath: parent, withIntermediateDirectories: true,
        attributes: [.posixPermissions: geteuid() == 0 ? 0o755 : 0o700])
    } catch {
      throw ClusterError(
        .directoryUnusable,
        "Could not create \(parent): check the permissions above it, or set FORECAST_DATA_DIR to "
          + "another directory.", output: error.localizedDescription)
    }
    // Others may do the same at this moment, so the owner is set by everybody who finds the
    // directory new and empty, not only by who made it.
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw ClusterError.system(errno, "create", path: path)
    }
    if access(layout.lock, F_OK) != 0 {
      let contents: [String]
      do {
        contents = try FileManager.default.contentsOfDirectory(atPath: path)
      } catch {
        throw ClusterError.system(EACCES, "look into", path: path)
      }
      guard contents.allSatisfy({ $0 == "lost+found" }) || access(layout.lock, F_OK) == 0 else {
        throw ClusterError(
          .directoryUnusable,
          "\(path) is not empty and holds no cluster: set FORECAST_DATA_DIR to a new or an empty "
            + "directory.")
      }
      if geteuid() == 0, chown(path, account.uid, account.gid) != 0 {
        throw ClusterError.system(errno, "change the owner of", path: path)
      }
    }
    guard try OwnedFile.makePrivateDirectory(path, owner: account) else {
      throw ClusterError(
        .directoryUnusable,
        "\(path) does not belong to the user \(account.name), who would run the server: change its "
          + "owner, or set FORECAST_DATA_DIR to another directory.")
    }
  }

  // MARK: Server

  /// The lock is held.
  private func startLocked(
    _ account: ServerAccount
  ) throws -> (address: ClusterAddress, started: Bool) {
    if let file = liveServer(), let address = try adopt(file) { return (address, false) }
    let programs = try ClusterPrograms.locate(
      environment: cluster.environment, major: layout.dataVersion)
    let isNew = layout.dataVersion == nil
    if isNew { try initialise(programs, account) }
    guard try OwnedFile.makePrivateDirectory(layout.logs, owner: account) else {
      throw ClusterError.system(EACCES, "use", path: layout.logs)
    }
    let socketDirectory = try prepareSocketDirectory(account)
    progress(.starting(directory: layout.directory))

    let server = ServerProcess(
      programs: programs, account: account, dataDirectory: layout.data,
      socketDirectory: socketDirectory, port: ClusterLayout.port, startLog: layout.startLog,
      settings: ["unix_socket_permissions=0700"])
    let ready: PostmasterFile
    do {
      ready = try server.start(waiting: follow())
    } catch let error as ClusterError
      where error.code == .startFailed && "\(error.output)".contains("postmaster.pid")
    {
      // A server whose start was cancelled a moment ago is coming up by itself: it is the one wanted.
      guard let address = try adoptComing() else { throw error }
      return (address, false)
    }
    let address = cluster.address(of: ready)
    if isNew { try synchroniseInBackground(programs, account) }
    return (address, true)
  }

  /// Waits shortly for a server that holds the lock file but has not filled it in yet.
  private func adoptComing() throws -> ClusterAddress? {
    for _ in 0..<400 {
      try cancellation.check()
      if let file = liveServer() { return try adopt(file) }
      usleep(5000)
    }
    return nil
  }

  /// Uses a server that lives already: waits while it starts, or until it is gone when it stops.
  /// - Returns: `nil` when there is no server any more and one has to be started.
  private func adopt(_ file: PostmasterFile) throws -> ClusterAddress? {
    if file.status == "stopping" {
      while PostmasterFile.isServer(file.pid, dataDirectory: layout.data) {
        try cancellation.check()
        usleep(5000)
      }
      return nil
    }
    guard
      let ready = try ServerProcess.waitUntilReady(
        pid: file.pid, dataDirectory: layout.data, waiting: follow())
    else { return nil }
    let address = cluster.address(of: ready)
    // A server that was killed or told to stop a moment ago still looks alive, but refuses.
    let deadline = ContinuousClock.now + .seconds(5)
    while case .failed(let reason) = ClusterProbe.check(address) {
      try cancellation.check()
      guard PostmasterFile.isServer(ready.pid, dataDirectory: layout.data) else { return nil }
      guard access("\(address.socketDirectory)/.s.PGSQL.\(address.port)", F_OK) == 0 else {
        // Somebody tidied up the socket; only a restart brings it back.
        try cluster.shutDown(ready.pid, timeoutSeconds: 60)
        return nil
      }
      let isPassing = !reason.contains("FATAL") || reason.contains("shutting down")
      guard isPassing, ContinuousClock.now < deadline else { throw refused(reason) }
      usleep(5000)
    }
    return address
  }

  private func refused(_ reason: String) -> ClusterError {
    ClusterError(
      .startFailed,
      "The server in \(layout.directory) runs but refuses connections: look at its log "
        + "(\(layout.logs)).", output: reason)
  }

  private func prepareSocketDirectory(_ account: ServerAccount) throws -> String {
    let candidates = layout.socketDirectories(environment: cluster.environment)
    for folder in candidates where try OwnedFile.makePrivateDirectory(folder, owner: account) {
      if folder != layout.directory + "/run" {
        try OwnedFile.write(folder + "\n", to: layout.socketRecord, owner: account)
      } else {
        unlink(layout.socketRecord)
      }
      return folder
    }
    throw ClusterError(
      .directoryUnusable,
      "No folder for the server's socket: \(candidates.joined(separator: ", ")) belong to somebody "
        + "else.")
  }

  /// Gives up when the task is cancelled, and says so when a start takes long.
  private func follow() -> (Duration) throws -> Void {
    var saidRecovering = false
    return { waited in
      try cancellation.check()
      if waited > .seconds(1), !saidRecovering {
        saidRecovering = true
        progress(.recovering)
      }
    }
  }

  // MARK: Creation

  /// `initdb` beside the final place, then a rename: what a killed `initdb` leaves is never taken for
  /// a cluster, and is removed here the next time.
  private func initialise(_ programs: ClusterPrograms, _ account: ServerAccount) throws {
    let files = FileManager.default
    for name in (try? files.contentsOfDirectory(atPath: layout.directory)) ?? []
    where name.hasPrefix("data.new") {
      try? files.removeItem(atPath: layout.directory + "/" + name)
    }
    if files.fileExists(atPath: layout.data), rmdir(layout.data) != 0 {
      throw ClusterError(
        .directoryUnusable,
        "\(layout.data) exists but holds no cluster (no PG_VERSION): move it away, or set "
          + "FORECAST_DATA_DIR to another directory.")
    }
    progress(.creating(directory: layout.directory, version: programs.major))
    let temporary = layout.directory + "/data.new"
    let outcome = try ChildProcess.run(
      account.prefix + [
        "/bin/sh", "-c", "umask 077; cd \"$1\" || exit 1; shift; exec \"$@\"", "sh",
        layout.directory, programs.initdb, "-D", temporary, "-U", cluster.user, "-A", "peer", "-E",
        "UTF8", "--no-locale", "--data-checksums", "--no-sync", "--no-instructions",
      ], environment: ServerProcess.environment)
    guard outcome.status == 0 else {
      try? files.removeItem(atPath: temporary)
      throw ClusterError.classify(
        output: outcome.output, directory: layout.directory, otherwise: .initialisationFailed,
        "initdb of \(programs.directory) failed with status \(outcome.status) in "
          + "\(layout.directory).")
    }
    try configure(temporary, account)
    guard rename(temporary, layout.data) == 0 else {
      throw ClusterError.system(errno, "rename \(temporary) to", path: layout.data)
    }
    try synchronise(layout.directory)
  }

  /// Brings the files of a new cluster to the disk while it is already in use. `initdb` would wait
  /// for that, for many seconds on a busy disk; what the server commits is durable in any case.
  private func synchroniseInBackground(
    _ programs: ClusterPrograms, _ account: ServerAccount
  ) throws {
    let script = "cd / && \"$@\" </dev/null >/dev/null 2>&1 &"
    _ = try ChildProcess.run(
      account.prefix + [
        "/bin/sh", "-c", script, "sh", programs.initdb, "-D", layout.data, "--sync-only",
      ], environment: ServerProcess.environment, newSession: true)
  }

  private func configure(_ data: String, _ account: ServerAccount) throws {
    let path = data + "/postgresql.conf"
    guard let standard = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw ClusterError.system(errno, "read", path: path)
    }
    try OwnedFile.write(
      standard + "\ninclude 'forecast.conf'\n", to: path, owner: account)
    try OwnedFile.write(
      ClusterSettings.configuration(memoryBytes: ProcessInfo.processInfo.physicalMemory),
      to: data + "/forecast.conf", owner: account)
    try OwnedFile.write(
      ClusterSettings.hostAuthentication, to: data + "/pg_hba.conf", owner: account)
    try OwnedFile.write(
      ClusterSettings.identityMap(serverUser: account.name, role: cluster.user),
      to: data + "/pg_ident.conf", owner: account)
    try synchronise(data)
  }

  private func synchronise(_ directory: String) throws {
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ClusterError.system(errno, "open", path: directory) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else {
      throw ClusterError.system(errno, "write", path: directory)
    }
  }

  /// - Returns: whether the database had to be created.
  private func ensureDatabase(_ address: ClusterAddress) throws -> Bool {
    switch ClusterProbe.check(address) {
    case .connected: return false
    case .noDatabase:
      progress(.creatingDatabase(address.database))
      try ClusterProbe.createDatabase(address)
      return true
    case .failed(let reason): throw refused(reason)
    }
  }
}
