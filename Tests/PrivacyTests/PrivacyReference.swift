// Names: keys of the golden files.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Foundation
import TestSupport

/// Epsilons of Poisson-subsampled Gaussian steps by other implementations.
///
/// `Golden/privacy_reference.json`: dp-accounting 0.6.0 (privacy loss distributions at a fine grid, an upper
/// bound right to 5e-5; closed forms for one step and without sub-sampling). Made by a script over a grid of
/// parameters; versions are in the file. `FORECAST_FIXTURES=DIR` takes every `privacy_reference*.json` of
/// that folder instead.
///
/// `Golden/privacy_wide.json`: parameters drawn at random over many orders of magnitude; epsilon solved from
/// `delta = 1 / (2 pi) int exp(K(s) - s epsilon) / (s (s + 1)) du`, s = t + iu, the inverse Laplace transform of
/// the composed loss, with K by the trapezoidal rule in numpy 2.4: right to 3e-5, not rounded to a side.
struct PrivacyReference: Decodable {
  struct Forward: Decodable {
    let q: Double
    let sigma: Double
    let steps: Int
    let delta: Double
    let epsilon: Double
    let rdp_epsilon: Double?
    let rdp_order: Double?
    let opacus_rdp_epsilon: Double?

    var description: String { "q \(q), noise \(sigma), \(steps) steps, delta \(delta)" }
  }
  struct Inverse: Decodable {
    let q: Double
    let steps: Int
    let delta: Double
    let target_epsilon: Double
    let sigma: Double

    var description: String { "q \(q), \(steps) steps, delta \(delta), epsilon \(target_epsilon)" }
  }
  let forward: [Forward]
  let inverse: [Inverse]?

  private static var named: String {
    ProcessInfo.processInfo.environment["FORECAST_FIXTURES"] ?? ""
  }
  static var isElsewhere: Bool { !named.isEmpty }

  static func all() throws -> [PrivacyReference] {
    if !named.isEmpty {
      let files = try FileManager.default.contentsOfDirectory(
        at: URL(fileURLWithPath: named), includingPropertiesForKeys: nil
      ).filter {
        $0.lastPathComponent.hasPrefix("privacy_reference") && $0.pathExtension == "json"
      }
      if !files.isEmpty {
        return try files.map {
          try JSONDecoder().decode(PrivacyReference.self, from: Data(contentsOf: $0))
        }
      }
    }
    return [try Golden.json("privacy_reference.json")]
  }
}
