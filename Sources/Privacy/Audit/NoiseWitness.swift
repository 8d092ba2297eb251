/// Whether numbers that should be independent standard normal noise are that, step by step.
///
/// Their power is looked at in each step and in all, and so are, over the root of two, sums and differences of two that
/// should have nothing to do with each other: neighbours in a step, and a number and its like some steps
/// before. If they are independent all these are standard normal again. Noise that comes again makes the one too large
/// and the other too small, and so does noise that is correlated in another way than it was assumed to be.
package struct NoiseWitness: Sendable {
  /// Sums and differences of pairs.
  fileprivate struct Pairs {
    private(set) var sums = NoisePower()
    private(set) var differences = NoisePower()

    mutating func add(_ first: Double, _ second: Double) {
      sums.add((first + second) * 0.5.squareRoot())
      differences.add((first - second) * 0.5.squareRoot())
    }

    mutating func add(_ other: Pairs) {
      sums.add(other.sums)
      differences.add(other.differences)
    }

    var isOff: Bool {
      sums.count > 0 && (sums.fault != nil || differences.fault != nil)
    }

    var correlation: Double {
      let (plus, minus) = (sums.deviation, differences.deviation)
      return (plus * plus - minus * minus) / max(plus * plus + minus * minus, 1e-300)
    }
  }

  /// Two groups of numbers that are not independent.
  package struct Dependence: Sendable {
    /// Steps between them; 0: neighbours of the same step.
    package let apart: Int
    package let correlation: Double
    package let pairs: Int

    fileprivate init(_ pairs: Pairs, apart: Int) {
      self.apart = apart
      correlation = pairs.correlation
      self.pairs = pairs.sums.count
    }

    /// Whether it is more than what wrong sizes of independent numbers do to sums and differences.
    package var isPlain: Bool {
      correlation * correlation * Double(pairs) > NoisePower.strictness
    }
  }

  /// Of all numbers.
  package private(set) var all = NoisePower()
  /// A step whose own power is wrong, the first, and its deviation.
  package private(set) var step: (number: Int, deviation: Double)?
  /// Of two steps, the first such pair.
  private var pair: Dependence?
  /// By steps apart, from pairs that have no step in common.
  private var pairs: [Pairs]
  /// The numbers of the last steps, newest first.
  private var recent: [[Double]] = []
  private var steps = 0

  /// - Parameter reach: most steps apart that are compared.
  package init(reach: Int) { pairs = Array(repeating: Pairs(), count: max(0, reach) + 1) }

  /// - Parameter deviates: of one step, in units of the standard deviation that they should have; as many and in
  ///   the same order in every step.
  package mutating func add(_ deviates: [Double]) {
    var own = NoisePower()
    for deviate in deviates { own.add(deviate) }
    if step == nil, let deviation = own.fault { step = (steps + 1, deviation) }
    all.add(own)

    var neighbours = Pairs()
    for k in stride(from: 1, to: deviates.count, by: 2) {
      neighbours.add(deviates[k - 1], deviates[k])
    }
    judge(neighbours, apart: 0, isCounted: true)
    for (index, earlier) in recent.enumerated() {
      var own = Pairs()
      for (first, second) in zip(earlier, deviates) { own.add(first, second) }
      // Steps 0 ..< d go with d ..< 2d, and so on: none is in two pairs.
      judge(own, apart: index + 1, isCounted: steps / (index + 1) % 2 == 1)
    }
    recent.insert(deviates, at: 0)
    if recent.count >= pairs.count { recent.removeLast() }
    steps += 1
  }

  private mutating func judge(_ own: Pairs, apart: Int, isCounted: Bool) {
    if pair == nil, own.isOff { pair = Dependence(own, apart: apart) }
    if isCounted { pairs[apart].add(own) }
  }

  /// What is not independent: the strongest of all steps together, else of the first two.
  package var dependence: Dependence? {
    pairs.indices.filter { pairs[$0].isOff }
      .map { Dependence(pairs[$0], apart: $0) }
      .max { abs($0.correlation) < abs($1.correlation) } ?? pair
  }

  package var isOff: Bool { all.fault != nil || step != nil || dependence != nil }
}
