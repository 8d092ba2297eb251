/// Which form of a nonlinear recurrence is faster, from what both cost.
///
/// Units and sequences of a diagonal cell do not see each other, so the sequential form already divides
/// among threads as long as each gets a vector of them. A step then takes as long as the vectors of a thread
/// need, or as one vector waits for its own exponentials, whichever is longer. Newton's form divides the steps
/// too and waits for nothing, but runs through the sequence once for each linearisation. It is therefore
/// faster only where there are more threads than vectors of units, roughly
/// `threads > passes * linearisation * vectors / max(vectors of a thread, latency)`.
///
/// Two threads never suffice: the passes alone are more. Costs in units of one vector's share of a sequential
/// step, measured over T 128 ... 65536, B 1 ... 64, D 32 and 128 on a processor with AVX-512
/// (`forecast-bench parallel-time`), on two threads; more threads follow from the rule and were not measured.
/// Where sequences outgrow the caches a linearisation costs up to half as much again.
public struct ParallelInTimeRule<Element: Real>: Sendable {
  /// Linearisations until convergence, the last of which finds that there is nothing left to do.
  public var passes = 5.0
  /// One linearisation of a vector and its part in the linear recurrence.
  public func linearisation(_ kind: DiagonalCell.Kind) -> Double { kind == .paraGRU ? 2 : 3 }
  /// A step of a single vector that waits for itself.
  public var latency = 3.0
  /// Steps for each thread from which its start does not count.
  public var shortestChunk = 256

  public init() {}

  private func vectors(_ cell: DiagonalCell, _ batch: Int) -> Double {
    let lanes = 64 / MemoryLayout<Element>.stride
    return Double(batch * ((cell.width + lanes - 1) / lanes))
  }

  /// Time of a step in the sequential form.
  public func sequentialCost(_ cell: DiagonalCell, batch: Int, threads: Int) -> Double {
    let vectors = vectors(cell, batch)
    return max((vectors / Double(threads)).rounded(.up), latency)
  }

  /// Time of a step in Newton's form.
  public func newtonCost(_ cell: DiagonalCell, batch: Int, threads: Int) -> Double {
    passes * linearisation(cell.kind) * vectors(cell, batch) / Double(threads)
  }

  public func form(
    _ cell: DiagonalCell, steps: Int, batch: Int, threads: Int
  ) -> RecurrenceForm {
    guard steps >= threads * shortestChunk else { return .sequential }
    let newton = newtonCost(cell, batch: batch, threads: threads)
    return newton < sequentialCost(cell, batch: batch, threads: threads) ? .newton : .sequential
  }

  /// Fewest threads with which Newton's form is faster over a long sequence.
  public func crossover(_ cell: DiagonalCell, batch: Int) -> Int {
    // With that many threads the sequential form is down to its latency, and Newton's to less.
    let enough = Int((newtonCost(cell, batch: batch, threads: 1) / latency).rounded(.up)) + 1
    let first = (1...enough).first { threads in
      newtonCost(cell, batch: batch, threads: threads)
        < sequentialCost(cell, batch: batch, threads: threads)
    }
    return first ?? enough
  }
}
