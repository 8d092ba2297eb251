import NumericsCore

/// Times both forms of diagonal cells over a grid of sizes and prints which the rule picks.
///
/// Forward, and forward with the gradient; Float; the least of `repetitions` in milliseconds, the forms taking
/// turns. `it` are the linear recurrences that Newton's method solved.
///
/// - Parameter most: units, steps and sequences together; larger cases are left out.
func measureParallelInTime(
  kinds: [DiagonalCell.Kind] = DiagonalCell.Kind.allCases, threads: [Int] = [1, 2],
  repetitions: Int = 5, most: Int = 1 << 24
) {
  let rule = ParallelInTimeRule<Float>()
  func cell(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(width - text.count, 0)) + text
  }
  func number(_ value: Double) -> String {
    let digits = value < 10 ? 1000.0 : value < 1000 ? 10.0 : 1.0
    return "\((value * digits).rounded() / digits)"
  }
  let heads = [
    "sequential", "newton", "it", "seq. + grad.", "newton + grad.", "fastest", "rule", "crossover",
  ]
  let widths = [11, 9, 4, 13, 15, 11, 11, 10]
  print("Kind          T    B    D threads", zip(heads, widths).map(cell).joined())
  for kind in kinds {
    for steps in [128, 1024, 8192, 65536] {
      for batch in [1, 4, 16, 64] {
        for width in [32, 128] where steps * batch * width <= most {
          for threads in threads {
            let diagonal = DiagonalCell(kind, width: width)
            let times = ParallelInTimeCase(
              diagonal, steps: steps, batch: batch, threads: threads
            ).measure(repetitions: repetitions)
            let picks = rule.form(diagonal, steps: steps, batch: batch, threads: threads)
            let fastest = times.newton[1] < times.sequential[1] ? "newton" : "sequential"
            let row = [
              number(times.sequential[0]), number(times.newton[0]),
              times.iterations.map { "\($0)" } ?? "-", number(times.sequential[1]),
              number(times.newton[1]), fastest, picks.rawValue,
              "\(rule.crossover(diagonal, batch: batch))",
            ]
            print(
              "\(kind.rawValue)" + cell("\(steps)", 15 - kind.rawValue.count)
                + cell("\(batch)", 5) + cell("\(width)", 5) + cell("\(threads)", 8),
              zip(row, widths).map(cell).joined())
          }
        }
      }
    }
  }
}

/// One size: random inputs, recurrent weights as a model starts with.
private struct ParallelInTimeCase {
  private let recurrence: DiagonalRecurrence<Float>
  private let buffers: [Buffer<Float>]

  init(_ cell: DiagonalCell, steps: Int, batch: Int, threads: Int) {
    recurrence = DiagonalRecurrence(cell, steps: steps, batch: batch, threads: threads)
    let count = steps * batch * cell.width
    let counts = [
      3 * count, 3 * cell.width, 2 * cell.width, count, cell.hasMemory ? count : 0,
      recurrence.gateCount, recurrence.jacobianCount,
      max(recurrence.newtonScratchCount, recurrence.backwardScratchCount), 3 * count,
      5 * cell.width, 2 * batch * cell.width,
    ]
    buffers = counts.map { Buffer($0) }
    var random = RandomStream(seed: 1, purpose: "parallel in time")
    for k in 0..<buffers[0].count { buffers[0][k] = Float(random.normal()) }
    for buffer in buffers[1...2] {
      for k in 0..<buffer.count { buffer[k] = Float(random.uniform() - 0.5) }
    }
  }

  private var operands: DiagonalRecurrence<Float>.Operands {
    let memory = recurrence.cell.hasMemory
    return .init(
      u: buffers[0].base, recurrent: buffers[1].base, peephole: memory ? buffers[2].base : nil,
      h0: nil, c0: nil, h: buffers[3].base, c: memory ? buffers[4].base : nil,
      gates: buffers[5].base, jacobian: buffers[6].base)
  }

  private func backward(isNewton: Bool) {
    let carry = buffers[10]
    carry.zero()
    // The states serve as their own gradients, those of half the sum of squares.
    let adjoint = DiagonalRecurrence<Float>.Adjoint(
      dh: buffers[3].base, dc: nil, du: buffers[8].base, adds: false, recurrent: buffers[9].base,
      peephole: recurrence.cell.hasMemory ? buffers[9].base + 3 * recurrence.cell.width : nil,
      carry: carry.base)
    recurrence.backward(operands, adjoint, isNewton: isNewton, scratch: buffers[7].base)
  }

  /// Milliseconds forward, and forward and backward.
  func measure(
    repetitions: Int
  ) -> (sequential: [Double], newton: [Double], iterations: Int?) {
    let clock = ContinuousClock()
    var (sequential, newton) = ([Double.infinity, .infinity], [Double.infinity, .infinity])
    var iterations: Int?
    func milliseconds(_ work: () -> Void) -> Double {
      clock.measure(work) / .milliseconds(1)
    }
    // Once more than counted: the first run warms up.
    for repetition in 0...repetitions {
      let forward = milliseconds { recurrence.sequential(operands) }
      let gradient = milliseconds { backward(isNewton: false) }
      let newtonForward = milliseconds {
        iterations = recurrence.newton(operands, scratch: buffers[7].base)
      }
      let newtonGradient = milliseconds { backward(isNewton: iterations != nil) }
      guard repetition > 0 else { continue }
      sequential = [min(sequential[0], forward), min(sequential[1], forward + gradient)]
      newton = [min(newton[0], newtonForward), min(newton[1], newtonForward + newtonGradient)]
    }
    return (sequential, newton, iterations)
  }
}
