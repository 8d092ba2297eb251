import Foundation

/// What this program calls itself in lineage, attempts and `--version`.
package enum Build {
  package static let version = "0.1.0"
}
