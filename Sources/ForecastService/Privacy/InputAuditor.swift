import Privacy
import Training

/// Sees the values that runs of an audited job release, and scores the canaries.
final class InputAuditor {
  private(set) var canaries: Canaries
  /// Names of the canaries' series, in UTF-8.
  let keys: [[UInt8]]
  private let mechanism: InputPerturbation

  private var noise = NoiseWitness(reach: 8)
  /// Noise of the first canaries of each slot, and in how many slots it came again.
  private var drawn: Set<[Int64]> = []
  private var repeated = 0
  /// How often each slot was released, and how often without a charge.
  private var times: [Int64: Int] = [:]
  private var charged: Set<Int64> = []
  private var uncharged = 0
  private var onGrid = 0
  private var offGrid = 0

  init(_ canaries: Canaries, _ mechanism: InputPerturbation) {
    self.canaries = canaries
    self.mechanism = mechanism
    keys = (0..<canaries.count).map { Array("canary \($0)".utf8) }
  }

  /// Without the canary, made up: a level and a little season, of the size of the noise.
  private func others(_ canary: Int, _ slot: Int64) -> Double {
    let level = Double((canary &* 2_654_435_761) & 0xffff) / 0x1p16
    let phase = Double((slot &* 40_503) & 0xff) / 0x1p8
    return mechanism.deviation * (1 + 3 * level + phase / 3)
  }

  func value(of canary: Int, in slot: Int64) -> Double {
    others(canary, slot) + (canaries.isIncluded[canary] ? mechanism.sensitivity : 0)
  }

  /// - Parameter noisy: values of all canaries for one slot after the other.
  func observe(_ noisy: PrivateCells, charged slots: ClosedRange<Int64>) {
    charged.formUnion(slots)
    let ratio = mechanism.sensitivity / mechanism.deviation
    let step = mechanism.step
    var deviates: [Double] = []
    for (cell, (slot, value)) in zip(noisy.slots, noisy.values).enumerated() {
      let canary = cell % canaries.count
      let shown = (value - others(canary, slot)) / mechanism.deviation
      canaries.add(ratio * (shown - ratio / 2), to: canary)
      deviates.append((value - self.value(of: canary, in: slot)) / mechanism.deviation)
      let place = (value / step - 0.5).rounded()
      // Beyond, a number has not the digits to say.
      if abs(place) < 0x1p48 {
        if (place + 0.5) * step == value { onGrid += 1 } else { offGrid += 1 }
      }
      if canary == canaries.count - 1 {
        endSlot(slot, deviates)
        deviates.removeAll(keepingCapacity: true)
      }
    }
  }

  private func endSlot(_ slot: Int64, _ deviates: [Double]) {
    times[slot, default: 0] += 1
    uncharged += charged.contains(slot) ? 0 : 1
    noise.add(deviates)
    // Four together, to a millionth: that these are the same by chance is out of the question.
    let four = deviates.prefix(4).map { Int64(max(-0x1p40, min(0x1p40, ($0 * 0x1p20).rounded()))) }
    if !drawn.insert(four).inserted { repeated += 1 }
  }

  var releases: PrivateAudit.Finding {
    let again = times.values.count { $0 > 1 }
    var faults: [String] = []
    if again > 0 { faults.append("\(again) released more than once") }
    if uncharged > 0 { faults.append("\(uncharged) not charged") }
    return PrivateAudit.Finding(
      .releases, isRight: faults.isEmpty,
      "\(times.count) slots"
        + (faults.isEmpty
          ? ", each charged and released once" : ": " + faults.joined(separator: ", ")))
  }

  var noiseFinding: PrivateAudit.Finding {
    let finding = PrivateAudit.Finding(noise, step: "slot")
    return PrivateAudit.Finding(
      .noise, isRight: finding.isRight && repeated == 0,
      finding.detail + (repeated > 0 ? "; that of \(repeated) slots is that of another" : ""))
  }

  var roundingFinding: PrivateAudit.Finding {
    PrivateAudit.Finding(
      .rounding, isRight: offGrid == 0,
      offGrid == 0
        ? "\(onGrid) values on the grid of the noise"
        : "\(offGrid) of \(onGrid + offGrid) values off the grid of the noise: their low digits may tell what they were without it"
    )
  }
}
