import Forecasters
import NumericsCore
import Privacy

/// Puts canaries into one private training and looks on.
///
/// A canary is a unit whose gradient is one coordinate of the parameters, far longer than the clipping norm. Each has a
/// coordinate of its own, so that none hides another; every tensor has one at least. Those that are in the data are drawn by
/// the sampler as all units are, clipped and summed by the same code, and covered by the same noise. What is
/// known to whom the guarantee is to hold against is used: every gradient that the optimiser gets, and what all
/// other units added.
///
/// Noises that are correlated from step to step are made independent first, by the matrix C that is claimed (``ToeplitzRows``),
/// for the guesses as for the check: what remains of a canary is its column of C.
///
/// Batches, noise and what becomes of the gradients are looked at beside: what is wrong there can be seen long
/// before epsilon shows it.
final class PrivateAuditor {
  /// How long a canary's gradient is, in clipping norms.
  static let length = 100.0
  /// Steps apart at which noise is compared, at least.
  static let reach = 8

  private(set) var canaries: Canaries
  private(set) var mechanism: any AuditedMechanism
  private(set) var noise: NoiseWitness
  private let coordinates: [Int]
  /// Canaries that are in the data: their numbers among all. The records after those of the panel.
  private let included: [Int]
  private let expected: Double
  private let units: Int
  private let parameters: Int
  private let gradientLength: Float
  private let replica: Replica
  /// Of this step: what others have added at each coordinate, what all have, and the noise's standard deviation.
  private var others: [Double]
  private var all: [Double]
  private var deviation = 0.0
  /// Without what others have added, and without what all have: in standard deviations of the independent noise.
  private var shown: ToeplitzRows
  private var noises: ToeplitzRows

  /// - Parameter expected: what the sum is divided by.
  init(
    _ canaries: Canaries, _ mechanism: any AuditedMechanism, expected: Double,
    clippingNorm: Double, units: Int, layout: ParameterLayout, replica: Replica
  ) {
    self.canaries = canaries
    self.mechanism = mechanism
    self.expected = expected
    self.units = units
    self.replica = replica
    parameters = layout.count
    gradientLength = Float(Self.length * clippingNorm)
    included = canaries.isIncluded.indices.filter { canaries.isIncluded[$0] }
    coordinates = Self.coordinates(canaries.count, layout)
    others = Array(repeating: 0, count: canaries.count)
    all = others
    shown = ToeplitzRows(mechanism.coefficients)
    noises = shown
    noise = NoiseWitness(reach: max(Self.reach, mechanism.coefficients.count))
  }

  /// Distinct coordinates: the middle of each tensor, the others at even distances.
  private static func coordinates(_ count: Int, _ layout: ParameterLayout) -> [Int] {
    var taken = Set<Int>()
    var all: [Int] = []
    let middles = layout.tensors.map { $0.offset + $0.count / 2 }
    let even = (0..<count).map { $0 * layout.count / count }
    // Few canaries for many tensors, or the reverse: whatever is free fills up.
    for coordinate in middles + even + Array(0..<layout.count) {
      guard all.count < count else { break }
      if taken.insert(coordinate).inserted { all.append(coordinate) }
    }
    return all
  }

  /// Records beside the panel's units.
  var records: Int { included.count }

  /// The step of a cycle in which each of these takes part; none where batches are sampled.
  var phases: [Int] { included.compactMap { mechanism.phase(of: $0) } }

  /// Adds the canaries of a batch; returns how many there were.
  func contribute(_ batch: [Int], to sum: PrivateSum, _ stages: PrivateStages) -> Int {
    mechanism.add(batch: batch)
    let own = batch.filter { $0 >= units }.map { coordinates[included[$0 - units]] }
    deviation = mechanism.noiseMultiplier * sum.sensitivity
    for (canary, coordinate) in coordinates.enumerated() { others[canary] = sum.value(coordinate) }
    let (parameters, length, add) = (parameters, gradientLength, stages.add)
    sum.collect { thread, lane in
      guard thread == 0 else { return }
      let gradient = Buffer<Float>(parameters)
      for coordinate in own {
        gradient[coordinate] = length
        add(gradient, lane)
        gradient[coordinate] = 0
      }
    }
    for (canary, coordinate) in coordinates.enumerated() { all[canary] = sum.value(coordinate) }
    return own.count
  }

  /// - Parameter gradient: what the optimiser gets.
  func observe(_ gradient: Buffer<Float>) {
    let sums = coordinates.map { Double(gradient[$0]) * expected }
    func deviates(_ known: [Double]) -> [Double] {
      zip(sums, known).map { ($0 - $1) / deviation }
    }
    // The likelihood ratio of being in the data or not, by the distributions that are claimed: no other score tells
    // more.
    for (canary, value) in shown.next(deviates(others)).enumerated() {
      canaries.add(mechanism.loss(at: value, of: canary), to: canary)
    }
    noise.add(noises.next(deviates(all)))
  }

  /// The same step for weights of its own, by what was observed.
  func replay(_ gradient: Buffer<Float>, rate: Double) { replica.step(gradient, rate: rate) }

  /// Whether the forecaster's weights are what follows from the gradients that were observed, bit for bit.
  func follows(_ forecaster: TrainedForecaster) -> Bool {
    forecaster.parameters.map(\.bitPattern) == replica.weights.map(\.bitPattern)
  }

  /// Weights that nothing but the observed gradients reaches.
  final class Replica {
    private let parameters: Buffer<Float>
    private let optimiser: Optimiser<Float>
    private let average: WeightAverage

    init(
      _ state: (parameters: Buffer<Float>, optimiser: Optimiser<Float>, average: WeightAverage)
    ) {
      (parameters, optimiser, average) = state
    }

    func step(_ gradient: Buffer<Float>, rate: Double) {
      optimiser.step(parameters, gradient, rate: rate)
      average.add(parameters)
    }

    var weights: [Float] { average.weights.array }
  }
}
