import Dispatch
import Glibc

/// Waits for a socket to be readable or writable, on the queue of the connection that owns it.
///
/// It watches duplicates of the descriptor, closed after the sources are cancelled, so libpq may close or replace its
/// own at any time.
final class SocketWatcher: @unchecked Sendable {  // every member is used on `queue` only
  struct Interest: OptionSet {
    let rawValue: Int
    static let read = Interest(rawValue: 1)
    static let write = Interest(rawValue: 2)
  }

  private let queue: DispatchQueue
  private let descriptor: Int32
  private let readSource: any DispatchSourceRead
  private let writeSource: any DispatchSourceWrite
  private var readArmed = false
  private var writeArmed = false
  private var isCancelled = false
  private var waiter: UnsafeContinuation<Void, Never>?
  private var wakePending = false
  private var whenIdle: (@Sendable () -> Void)?

  /// - Returns: nil when the process has no descriptor left.
  init?(socket: Int32, queue: DispatchQueue) {
    let forReading = dup(socket)
    guard forReading >= 0 else { return nil }
    let forWriting = dup(socket)
    guard forWriting >= 0 else {
      close(forReading)
      return nil
    }
    self.queue = queue
    descriptor = forReading
    readSource = DispatchSource.makeReadSource(fileDescriptor: forReading, queue: queue)
    writeSource = DispatchSource.makeWriteSource(fileDescriptor: forWriting, queue: queue)
    readSource.setCancelHandler { close(forReading) }
    writeSource.setCancelHandler { close(forWriting) }
    readSource.setEventHandler { [weak self] in
      guard let self, readArmed else { return }
      readArmed = false
      readSource.suspend()
      fired()
    }
    writeSource.setEventHandler { [weak self] in
      guard let self, writeArmed else { return }
      writeArmed = false
      writeSource.suspend()
      fired()
    }
  }

  deinit {
    // A suspended source may be neither cancelled to completion nor released.
    readSource.cancel()
    writeSource.cancel()
    if !readArmed { readSource.resume() }
    if !writeArmed { writeSource.resume() }
  }

  /// Resumes `continuation` at the first interest that comes true, or at the next ``wake()``.
  func park(_ continuation: UnsafeContinuation<Void, Never>, _ interest: Interest) {
    precondition(waiter == nil, "two waits on one socket")
    if wakePending || isCancelled {
      wakePending = false
      continuation.resume()
      return
    }
    waiter = continuation
    arm(interest)
  }

  /// Calls `body` when the socket becomes readable while nobody waits, once.
  func watchIdle(_ body: @escaping @Sendable () -> Void) {
    whenIdle = body
    arm(.read)
  }

  /// Ends the present wait, or the next one if there is none.
  func wake() {
    if let waiter {
      self.waiter = nil
      waiter.resume()
    } else {
      wakePending = true
    }
  }

  /// Forgets a wake that came after its operation was over.
  func clearWake() { wakePending = false }

  func cancel() {
    isCancelled = true
    whenIdle = nil
    wake()
  }

  private func arm(_ interest: Interest) {
    if interest.contains(.read), !readArmed {
      readArmed = true
      readSource.resume()
    }
    if interest.contains(.write), !writeArmed {
      writeArmed = true
      writeSource.resume()
    }
    if isHungUp { queue.async { [weak self] in self?.fired() } }
  }

  /// A dispatch source reports a hang-up once and is dead from then on, but data may still be read after it.
  private var isHungUp: Bool {
    var entry = pollfd(fd: descriptor, events: 0, revents: 0)
    return poll(&entry, 1, 0) > 0
  }

  private func fired() {
    if let waiter {
      self.waiter = nil
      waiter.resume()
    } else if let body = whenIdle {
      whenIdle = nil
      body()
    }
  }
}
