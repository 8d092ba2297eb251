import Yams

/// Parts of the job file that this version refuses, because it would have to ignore them.
///
/// Each feature is one line; whoever builds it deletes the line.
enum UnsupportedFeatures {
  struct Feature {
    /// Keys from the top of the file.
    let path: [String]
    let name: String
    /// What to write until then.
    let instead: String
    /// Whether a value asks for the feature.
    let isUsed: (Node) -> Bool
  }

  static var table: [Feature] {
    [
      Feature(
        path: ["source", "covariates"], name: "covariates", instead: "remove covariates",
        isUsed: hasValues),
      Feature(
        path: ["calibration"], name: "conformal calibration", instead: "write calibration: none",
        isUsed: { $0.scalar?.string == "conformal" }),
      Feature(
        path: ["model"], name: "a list of models to blend", instead: "name one model",
        isUsed: { $0.sequence != nil }),
      Feature(
        path: ["model", "kind"], name: "choosing the model", instead: "write kind: lstm",
        isUsed: { $0.scalar?.string == "auto" || $0.sequence != nil }),
      Feature(
        path: ["training", "refit"], name: "refitting less often", instead: "write refit: always",
        isUsed: { $0.scalar.map { $0.string != "always" } ?? false }),
      Feature(
        path: ["training", "warmStart"], name: "a warm start", instead: "write warmStart: false",
        isUsed: { $0.scalar?.string == "true" }),
    ]
  }

  /// Reports what is used; returns the paths, joined by dots, that need no further check.
  static func refuse(in root: Node, _ reader: inout JobNodeReader) -> Set<String> {
    var refused: Set<String> = []
    for feature in table {
      var node: Node? = root
      for key in feature.path { node = node?.mapping?[key] }
      guard let node, !JobNodeReader.isNull(node), feature.isUsed(node) else { continue }
      let path = feature.path.joined(separator: ".")
      reader.fail(
        node, "\(path): \(feature.name) is not supported by this version; \(feature.instead)")
      refused.insert(path)
    }
    return refused
  }

  private static func hasValues(_ node: Node) -> Bool {
    guard let mapping = node.mapping else { return true }
    return mapping.contains { entry in
      entry.value.sequence.map { !$0.isEmpty } ?? !JobNodeReader.isNull(entry.value)
    }
  }
}
