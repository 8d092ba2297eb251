/// Options that all networks fitted by least squares share.
package enum RidgeOptions {
  package static let ridge = ModelOption.number(
    "ridge", 0...1e6, standard: 0,
    "penalty on coefficients of features with variance 1, per window; 0 chooses by cross-validation"
  )
  package static let robust = ModelOption.flag(
    "robust", standard: true, "whether large residuals pull no harder than moderate ones (Huber)")
}
