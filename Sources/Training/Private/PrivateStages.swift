package import NumericsCore
package import Privacy

/// What a step of private training does, in the order in which it does it.
///
/// A training has these and no others: the trainer's public interface knows nothing of them, and no job file can
/// name them. They can be replaced within this package, so that tests can put a broken one in place of each and see
/// the audit find it.
package struct PrivateStages: Sendable {
  /// Where batches and noise come from.
  package var random: @Sendable () -> SecureRandom = { SecureRandom() }

  /// Gives the batch of a step out of so many records, from what gives the batches that are accounted for.
  package var draw: @Sendable (_ records: Int, _ next: () throws -> [Int]) throws -> [Int] = {
    try $1()
  }

  /// Of correlated noise: the step of a cycle in which each unit takes part.
  package var phases: @Sendable (PrivateUnits, _ cycle: Int) -> [Int] = { $0.phases(cycle: $1) }

  /// Clips the gradient of one unit and adds it.
  package var add: @Sendable (Buffer<Float>, PrivateSum.Lane) -> Void = { $1.add($0) }

  /// Makes what the optimiser gets of what was added, which were so many contributions; `next` adds the noise that is
  /// accounted for.
  package var release:
    @Sendable (
      PrivateSum, _ contributions: Int, _ next: (_ contributions: Int) throws -> Buffer<Float>
    ) throws -> Buffer<Float> = { try $2($1) }

  /// Changes the parameters by the gradient.
  package var apply:
    @Sendable (Optimiser<Float>, _ parameters: Buffer<Float>, Buffer<Float>, _ rate: Double) -> Void =
      { $0.step($1, $2, rate: $3) }

  package init() {}
}
