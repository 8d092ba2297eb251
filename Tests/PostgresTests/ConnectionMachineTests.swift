import Postgres
import Testing

@Suite("The rules of a connection")
struct ConnectionMachineTests {
  private func connected() -> ConnectionMachine {
    var machine = ConnectionMachine()
    #expect(machine.handle(.connected) == .finish)
    return machine
  }

  private func running(_ operation: ConnectionMachine.Operation) -> ConnectionMachine {
    var machine = connected()
    #expect(machine.handle(.began(operation)) == .none)
    return machine
  }

  @Test("results are delivered, and their end frees the connection")
  func query() {
    var machine = running(.query)
    #expect(machine.handle(.result(.rows)) == .deliver)
    #expect(!machine.isIdle)
    #expect(machine.handle(.resultsEnded) == .finish)
    #expect(machine.isIdle)
  }

  @Test("a pipeline ends with its synchronisation point, not with its statements")
  func pipeline() {
    var machine = running(.pipeline)
    for kind in [ConnectionMachine.ResultKind.rows, .failed(isFatal: false), .aborted] {
      #expect(machine.handle(.result(kind)) == .deliver)
      #expect(machine.handle(.resultsEnded) == .none)
    }
    #expect(machine.handle(.result(.synchronised)) == .finish)
    #expect(machine.isIdle)
  }

  @Test("a cancel request is sent once, and the connection is not free while it is in the air")
  func cancel() {
    var machine = running(.query)
    #expect(machine.handle(.cancelRequested) == .sendCancel)
    #expect(machine.handle(.cancelRequested) == .none)
    #expect(machine.handle(.result(.failed(isFatal: false))) == .deliver)
    #expect(machine.handle(.resultsEnded) == .none)
    #expect(machine.state == .awaitingCancel)
    #expect(machine.handle(.cancelSent) == .finish)
    #expect(machine.isIdle)
  }

  @Test("a cancel request that came before its statement is sent again")
  func cancelAgain() {
    var machine = running(.query)
    #expect(machine.handle(.cancelUnanswered) == .none)
    #expect(machine.handle(.cancelRequested) == .sendCancel)
    #expect(machine.handle(.cancelUnanswered) == .none)
    #expect(machine.handle(.cancelSent) == .none)
    #expect(machine.handle(.cancelUnanswered) == .sendCancel)
    #expect(machine.handle(.cancelSent) == .none)
    #expect(machine.handle(.resultsEnded) == .finish)
    #expect(machine.handle(.cancelUnanswered) == .none)
  }

  @Test(
    "what cannot be half done is not cancelled",
    arguments: [
      ConnectionMachine.Operation.control, .commit,
    ])
  func uncancellable(operation: ConnectionMachine.Operation) {
    var machine = running(operation)
    #expect(machine.handle(.cancelRequested) == .none)
    #expect(machine.handle(.abandoned) == .none)
    #expect(machine.handle(.resultsEnded) == .finish)
  }

  @Test("an idle connection is not cancelled")
  func cancelIdle() {
    var machine = connected()
    #expect(machine.handle(.cancelRequested) == .none)
    #expect(machine.isIdle)
  }

  @Test(
    "losing the connection over a COMMIT is unknown, over anything else is lost",
    arguments: [
      (ConnectionMachine.Operation.commit, PostgresError.Code.commitUnknown),
      (.query, .connectionLost), (.control, .connectionLost), (.copyIn, .connectionLost),
      (.pipeline, .connectionLost),
    ])
  func lost(operation: ConnectionMachine.Operation, code: PostgresError.Code) {
    var machine = running(operation)
    #expect(machine.handle(.connectionLost) == .drop)
    #expect(machine.codeWhenLost == code)
    #expect(machine.isClosed)
    #expect(machine.handle(.connectionLost) == .none)
  }

  @Test("a server that dies over a COMMIT leaves it unknown, an error answers it")
  func fatalCommit() {
    var machine = running(.commit)
    #expect(machine.handle(.result(.failed(isFatal: true))) == .deliver)
    #expect(machine.codeWhenLost == .commitUnknown)
    machine = running(.commit)
    #expect(machine.handle(.result(.failed(isFatal: false))) == .deliver)
    #expect(machine.codeWhenLost == .connectionLost)
  }

  @Test("a COPY in runs to its end")
  func copyIn() {
    var machine = running(.copyIn)
    #expect(machine.handle(.result(.copyIn)) == .deliver)
    #expect(machine.state == .copyingIn)
    #expect(machine.handle(.copyEnded) == .none)
    #expect(machine.handle(.result(.done)) == .deliver)
    #expect(machine.handle(.resultsEnded) == .finish)
  }

  @Test("a COPY in that is given up is ended with an error, and what follows is thrown away")
  func copyInAbandoned() {
    var machine = running(.copyIn)
    #expect(machine.handle(.result(.copyIn)) == .deliver)
    #expect(machine.handle(.abandoned) == .refuseCopy)
    #expect(machine.handle(.result(.failed(isFatal: false))) == .discard)
    #expect(machine.handle(.resultsEnded) == .finish)
  }

  @Test("a COPY out that is given up is cancelled on the server and drained")
  func copyOutAbandoned() {
    var machine = running(.copyOut)
    #expect(machine.handle(.result(.copyOut)) == .deliver)
    #expect(machine.handle(.abandoned) == .sendCancel)
    #expect(machine.handle(.result(.failed(isFatal: false))) == .discard)
    #expect(machine.handle(.cancelSent) == .none)
    #expect(machine.handle(.resultsEnded) == .finish)
  }

  @Test("a COPY nobody asked for is refused")
  func unexpectedCopy() {
    var machine = running(.query)
    #expect(machine.handle(.result(.copyIn)) == .refuseCopy)
    #expect(machine.handle(.result(.failed(isFatal: false))) == .discard)
    #expect(machine.handle(.resultsEnded) == .finish)
    machine = running(.script)
    #expect(machine.handle(.result(.copyOut)) == .sendCancel)
  }

  @Test("nothing wakes a closed connection")
  func closed() {
    var machine = connected()
    #expect(machine.handle(.closeRequested) == .drop)
    for event in [
      ConnectionMachine.Event.cancelRequested, .abandoned, .cancelSent, .cancelUnanswered,
      .closeRequested, .resultsEnded,
    ] {
      #expect(machine.handle(event) == .none)
      #expect(machine.isClosed)
    }
    #expect(machine.handle(.result(.rows)) == .discard)
  }
}
