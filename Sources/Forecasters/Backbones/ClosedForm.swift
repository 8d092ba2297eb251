import NumericsCore

/// Options that all networks fitted by least squares share.
package enum RidgeOptions {
  package static let ridge = ModelOption.number(
    "ridge", 0...1e6, standard: 0,
    "penalty on coefficients of features with variance 1, per window; 0 chooses by cross-validation"
  )
  package static let robust = ModelOption.flag(
    "robust", standard: true, "whether large residuals pull no harder than moderate ones (Huber)")
}

/// What linear features read of the inputs of a window `[T, B, F]`.
struct ObservedInputs<Element: Real> {
  /// `[T, B]`: the scaled value; where it is missing, that of one season before, or 0, the mean of the window. A
  /// linear model cannot tell the phase in which a value is missing, so what stands for it has to be near it.
  let values: Tensor<Element>
  /// `[T, B]`: 1 where a value is observed, else 0.
  let mask: Tensor<Element>

  /// - Parameter hasSeason: whether the third input is the value one season before.
  init(_ inputs: Tensor<Element>, hasSeason: Bool) {
    let shape: Shape = [inputs.shape[0], inputs.shape[1]]
    func channel(_ number: Int) -> Tensor<Element> {
      inputs.slice(axis: 2, number..<(number + 1)).reshaped(shape)
    }
    mask = channel(1)
    values = hasSeason ? channel(0).selected(where: mask, otherwise: channel(2)) : channel(0)
  }
}
