import CKernels

/// What a state of a linear recurrence is, and the matrix that carries it from one step to the next.
enum ScanState: Hashable, Sendable {
  /// One complex number, its real and imaginary part in planes of their own.
  case complex
  /// A column of `k` numbers, 1 ... 8, and `k` x `k` matrices.
  case column(Int)

  /// Planes of a state.
  var planes: Int {
    switch self {
    case .complex: 2
    case .column(let k): k
    }
  }
  /// Planes of a matrix.
  var matrixPlanes: Int {
    switch self {
    case .complex: 2
    case .column(let k): k * k
    }
  }
  var kernelSize: Int32 {
    switch self {
    case .complex: Int32(CK_SCAN_COMPLEX)
    case .column(let k): Int32(k)
    }
  }
}

/// How a linear recurrence is divided among threads.
///
/// Channels first: they do not see each other, so that costs nothing and changes no bit. Where there are too
/// few, time (Blelloch 1990, in the form that reduces first): of `threads + 1` chunks the first is run at
/// once, while the others but the last are each reduced to one map `h -> M h + e`; the maps give the state
/// before every chunk, and a second round runs the chunks. That is `2 / (threads + 1)` of the sequential time
/// for twice the reading of most of it. Results depend on the number of threads alone, not on timing.
struct ScanSchedule<Element: Real>: Sendable {
  enum Division: Hashable, Sendable {
    case none
    case channels(Int)
    case time(Int)
  }

  let state: ScanState
  let steps: Int
  let channels: Int
  /// Channels after which the matrices repeat: `channels` where each has its own.
  let period: Int
  let division: Division

  /// - Parameter division: nil chooses.
  init(
    _ state: ScanState, steps: Int, channels: Int, period: Int? = nil, threads: Int,
    division: Division? = nil
  ) {
    self.state = state
    self.steps = steps
    self.channels = channels
    self.period = period ?? channels
    self.division =
      division ?? Self.division(state, steps: steps, channels: channels, threads: threads)
  }

  /// Steps of a chunk below which threads cost more than they do.
  static var shortestChunk: Int { 64 }

  private static func division(
    _ state: ScanState, steps: Int, channels: Int, threads: Int
  ) -> Division {
    guard threads > 1 else { return .none }
    let vectors = channels * MemoryLayout<Element>.stride / 64
    if vectors >= threads { return .channels(threads) }
    // M costs as much as a state for each of its columns: it pays for small states only.
    let columns = state == .complex ? 1 : state.planes
    if threads + 1 > columns + 1, steps >= (threads + 1) * shortestChunk { return .time(threads) }
    return .none
  }

  /// Chunks of time or parts of the channels.
  var parts: Int {
    switch division {
    case .none: 1
    case .channels(let parts): parts
    case .time(let threads): threads + 1
    }
  }

  private var carryPlanes: Int { state.matrixPlanes + state.planes }
  /// Numbers for ``forward`` and ``backward``: maps of the chunks and the states between them.
  var scratchCount: Int {
    guard case .time(let threads) = division else { return 0 }
    return (threads + 1) * (carryPlanes + state.planes) * channels
  }

  /// First step of a chunk and of the next.
  private func bounds(_ chunk: Int) -> (Int, Int) {
    (chunk * steps / parts, (chunk + 1) * steps / parts)
  }

  // MARK: Parts of a recurrence

  private func moved(_ pointer: UnsafeRawPointer?, _ count: Int) -> UnsafeRawPointer? {
    pointer.map { $0 + count * MemoryLayout<Element>.stride }
  }
  private func moved(_ pointer: UnsafeMutableRawPointer?, _ count: Int) -> UnsafeMutableRawPointer?
  {
    pointer.map { $0 + count * MemoryLayout<Element>.stride }
  }

  /// The steps of a chunk; the state before it still has to be given.
  private func chunk(_ scan: ck_scan, _ first: Int, _ last: Int) -> ck_scan {
    var part = scan
    part.steps = last - first
    part.a = moved(scan.a, first * scan.a_time)
    part.b = moved(scan.b, first * scan.b_time)
    part.h = moved(scan.h, first * scan.h_time)
    return part
  }

  private func chunk(_ adjoint: ck_scan_adjoint, _ first: Int) -> ck_scan_adjoint {
    var part = adjoint
    part.dh = moved(adjoint.dh, first * adjoint.dh_time)
    part.da = moved(adjoint.da, first * adjoint.da_time)
    part.db = moved(adjoint.db, first * adjoint.db_time)
    return part
  }

  /// Calls `body` with the parts of `range` in which the matrices do not repeat.
  private func forEachPeriod(_ range: Range<Int>, _ body: (_ first: Int, _ count: Int) -> Void) {
    var first = range.lowerBound
    while first < range.upperBound {
      let last = min((first / period + 1) * period, range.upperBound)
      body(first, last - first)
      first = last
    }
  }

  private func channels(_ scan: ck_scan, _ first: Int, _ count: Int) -> ck_scan {
    var part = scan
    part.channels = count
    part.a = moved(scan.a, first % period)
    part.b = moved(scan.b, first)
    part.h = moved(scan.h, first)
    part.initial = moved(scan.initial, first)
    return part
  }

  private func channels(_ adjoint: ck_scan_adjoint, _ first: Int) -> ck_scan_adjoint {
    var part = adjoint
    part.dh = moved(adjoint.dh, first)
    part.carry = moved(adjoint.carry, first)
    part.da = moved(adjoint.da, first % period)
    part.db = moved(adjoint.db, first)
    return part
  }

  private func run(_ scan: ck_scan, _ range: Range<Int>) {
    forEachPeriod(range) { first, count in
      var part = channels(scan, first, count)
      ck_scan_forward(Element.kernelType, &part)
    }
  }

  private func run(_ scan: ck_scan, _ adjoint: ck_scan_adjoint, _ range: Range<Int>) {
    forEachPeriod(range) { first, count in
      var part = channels(scan, first, count)
      var back = channels(adjoint, first)
      ck_scan_backward(Element.kernelType, &part, &back)
    }
  }

  /// The maps of a chunk, those of one period after those of another.
  private func reduce(
    _ scan: ck_scan, _ adjoint: ck_scan_adjoint?, to carry: UnsafeMutablePointer<Element>
  ) {
    forEachPeriod(0..<channels) { first, count in
      var part = channels(scan, first, count)
      let to = carry + carryPlanes * first
      if let adjoint {
        var back = channels(adjoint, first)
        ck_scan_adjoint_carry(Element.kernelType, &part, &back, to)
      } else {
        ck_scan_carry(Element.kernelType, &part, to)
      }
    }
  }

  /// The states after `count` maps, one after the other from `initial`.
  private func combine(
    _ carries: UnsafeMutablePointer<Element>, count: Int, initial: UnsafeRawPointer?,
    plane: Int, to states: UnsafeMutablePointer<Element>
  ) {
    let size = MemoryLayout<Element>.stride
    forEachPeriod(0..<channels) { first, width in
      let from = carries + carryPlanes * first
      var scan = ck_scan()
      (scan.steps, scan.channels, scan.size) = (count, width, state.kernelSize)
      (scan.a, scan.a_time, scan.a_plane) = (
        UnsafeRawPointer(from), carryPlanes * channels, width * size
      )
      (scan.b, scan.b_time, scan.b_plane) = (
        UnsafeRawPointer(from + state.matrixPlanes * width), carryPlanes * channels, width * size
      )
      (scan.initial, scan.initial_plane) = (moved(initial, first), plane)
      (scan.h, scan.h_time, scan.h_plane) = (
        UnsafeMutableRawPointer(states + first), state.planes * channels, channels * size
      )
      ck_scan_forward(Element.kernelType, &scan)
    }
  }

  // MARK: Whole recurrences

  /// `h` of all steps.
  func forward(_ scan: ck_scan, scratch: UnsafeMutablePointer<Element>) {
    // Workers write different parts of what the pointers name.
    nonisolated(unsafe) let scan = scan
    nonisolated(unsafe) let carries = scratch
    switch division {
    case .none: run(scan, 0..<channels)
    case .channels(let parts):
      parallel(count: parts) { part in
        run(scan, lines(part, of: parts))
      }
    case .time(let threads):
      let chunks = threads + 1
      nonisolated(unsafe) let states = carries + chunks * carryPlanes * channels
      parallel(count: threads) { worker in
        let (first, last) = bounds(worker)
        let part = chunk(scan, first, last)
        if worker == 0 {
          run(part, 0..<channels)
        } else {
          reduce(part, nil, to: carries + (worker - 1) * carryPlanes * channels)
        }
      }
      nonisolated(unsafe) let start = UnsafeRawPointer(
        moved(scan.h, (bounds(0).1 - 1) * scan.h_time))
      combine(carries, count: chunks - 2, initial: start, plane: scan.h_plane, to: states)
      parallel(count: threads) { worker in
        let (first, last) = bounds(worker + 1)
        var part = chunk(scan, first, last)
        if worker == 0 {
          (part.initial, part.initial_plane) = (start, scan.h_plane)
        } else {
          part.initial = UnsafeRawPointer(states + (worker - 1) * state.planes * channels)
          part.initial_plane = channels * MemoryLayout<Element>.stride
        }
        run(part, 0..<channels)
      }
    }
  }

  /// Whole cache lines for each part, so that no two write to the same one.
  private func lines(_ part: Int, of parts: Int) -> Range<Int> {
    let line = 64 / MemoryLayout<Element>.stride
    let count = (channels + line - 1) / line
    return min(
      part * count / parts * line, channels)..<min(
        (part + 1) * count / parts * line, channels)
  }

  /// Gradients of the states and what follows from them; `whole.carry` ends as that of the initial state.
  ///
  /// - Parameter sums: where matrices are shared by steps or channels, room for their gradient in every part
  ///   but the first, `matrixPlanes * period` each and zero; they are to be added to `whole.da`.
  func backward(
    _ scan: ck_scan, _ whole: ck_scan_adjoint, sums: UnsafeMutablePointer<Element>?,
    scratch: UnsafeMutablePointer<Element>
  ) {
    nonisolated(unsafe) let scan = scan
    nonisolated(unsafe) let carries = scratch
    nonisolated(unsafe) let sums = sums
    nonisolated(unsafe) let whole = whole
    @Sendable func adjoint(_ part: Int) -> ck_scan_adjoint {
      var own = whole
      if let sums, whole.da != nil, part > 0 {
        own.da = UnsafeMutableRawPointer(sums + (part - 1) * state.matrixPlanes * period)
        own.da_plane = period * MemoryLayout<Element>.stride
      }
      return own
    }
    switch division {
    case .none: run(scan, whole, 0..<channels)
    case .channels(let parts):
      parallel(count: parts) { part in
        run(scan, adjoint(part), lines(part, of: parts))
      }
    case .time(let threads):
      let chunks = threads + 1
      let size = MemoryLayout<Element>.stride
      nonisolated(unsafe) let states = carries + chunks * carryPlanes * channels
      // Worker w takes the chunk w before the last.
      @Sendable func operands(_ index: Int, _ adjoint: ck_scan_adjoint) -> (
        ck_scan, ck_scan_adjoint
      ) {
        let (first, last) = bounds(index)
        var part = chunk(scan, first, last)
        if index > 0 {
          part.initial = UnsafeRawPointer(moved(scan.h, (first - 1) * scan.h_time))
          part.initial_plane = scan.h_plane
        }
        return (part, chunk(adjoint, first))
      }
      parallel(count: threads) { worker in
        let index = chunks - 1 - worker
        let (part, back) = operands(index, adjoint(index))
        if worker == 0 {
          run(part, back, 0..<channels)
        } else {
          reduce(part, back, to: carries + (worker - 1) * carryPlanes * channels)
        }
      }
      combine(
        carries, count: chunks - 2, initial: UnsafeRawPointer(whole.carry),
        plane: whole.carry_plane, to: states)
      parallel(count: threads) { worker in
        let index = chunks - 2 - worker
        let (part, own) = operands(index, adjoint(index))
        var back = own
        if worker > 0 {
          back.carry = UnsafeMutableRawPointer(states + (worker - 1) * state.planes * channels)
          back.carry_plane = channels * size
        }
        run(part, back, 0..<channels)
      }
      let result = states + (threads - 2) * state.planes * channels
      for plane in 0..<state.planes {
        (whole.carry + plane * whole.carry_plane).copyMemory(
          from: result + plane * channels, byteCount: channels * size)
      }
    }
  }

  /// The gradients that reach each chunk from later ones, without running the chunks: for those who run them
  /// in another way.
  ///
  /// - Precondition: divided in time.
  /// - Returns: in `scratch`, those of the last chunk but one, then of the one before ..., `[parts - 1,
  ///   planes, channels]`.
  func carries(
    _ scan: ck_scan, _ adjoint: ck_scan_adjoint, scratch: UnsafeMutablePointer<Element>
  ) -> UnsafeMutablePointer<Element> {
    nonisolated(unsafe) let scan = scan
    nonisolated(unsafe) let adjoint = adjoint
    nonisolated(unsafe) let carries = scratch
    let states = carries + parts * carryPlanes * channels
    parallel(count: parts - 1) { worker in
      let (first, last) = bounds(parts - 1 - worker)
      reduce(
        chunk(scan, first, last), chunk(adjoint, first),
        to: carries + worker * carryPlanes * channels)
    }
    combine(
      carries, count: parts - 1, initial: UnsafeRawPointer(adjoint.carry),
      plane: adjoint.carry_plane, to: states)
    return states
  }
}
