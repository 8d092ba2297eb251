import NumericsCore

/// What this program calls itself in lineage, attempts and `--version`.
package enum Build {
  package static let version = "0.1.0"

  /// What the arithmetic of this process runs on.
  package static var arithmetic: String {
    "OpenBLAS kernel \(BLAS.coreName), vector level \(BLAS.vectorLevel)"
  }
}
