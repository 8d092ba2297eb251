import Forecasters
import Foundation
import TestSupport
import Testing

@Suite("Registry")
struct RegistryTests {
  private func configuration(
    _ kind: String, options: [String: ModelOption.Value] = [:]
  ) -> ForecasterConfiguration {
    ForecasterConfiguration(
      kind: kind, hidden: 8, layers: 2, options: options, contextLength: 8, horizon: 2)
  }

  @Test("every entry is described, and its paper is listed in docs/references.md")
  func described() throws {
    let references = try String(
      contentsOf: URL(fileURLWithPath: "\(#filePath)/../../../docs/references.md").standardized,
      encoding: .utf8)
    #expect(Set(Registry.kinds).count == Registry.kinds.count)
    for entry in Registry.entries {
      #expect(entry.help.hasSuffix("."), "\(entry.kind)")
      #expect(references.contains("| \(entry.reference) |"), "\(entry.kind): \(entry.reference)")
      #expect(!entry.time.isEmpty && !entry.memory.isEmpty)
      for option in entry.options {
        #expect(option.accepts(option.standard), "\(entry.kind).\(option.name)")
        #expect(!option.help.isEmpty && !option.help.hasSuffix("."))
      }
    }
  }

  @Test("a configuration survives JSON, options included", arguments: Registry.kinds)
  func codable(kind: String) throws {
    let entry = try #require(Registry.entry(kind))
    let options = Dictionary(uniqueKeysWithValues: entry.options.map { ($0.name, $0.standard) })
    let before = configuration(kind, options: options)
    let data = try JSONEncoder().encode(before)
    let after = try JSONDecoder().decode(ForecasterConfiguration.self, from: data)
    // A file that must be given cannot be here.
    if !entry.options.contains(where: \.isRequired) { try after.validate() }
    #expect(after == before)
  }

  @Test("models stored before there were options can be read")
  func older() throws {
    let json = """
      {"kind": "lstm", "hidden": 4, "layers": 1, "dropout": 0, "contextLength": 8, "horizon": 2,
       "quantiles": [0.5], "seasonality": [1]}
      """
    let read = try JSONDecoder().decode(ForecasterConfiguration.self, from: Data(json.utf8))
    try read.validate()
    #expect(read.options.isEmpty && read.integer("heads") == 1)
  }

  @Test("unknown options and bad values are refused by name", arguments: Registry.kinds)
  func refused(kind: String) throws {
    #expect(throws: ForecasterError.self) {
      try configuration(kind, options: ["no such option": .integer(1)]).validate()
    }
    for option in Registry.entry(kind)?.options ?? [] {
      let bad: [ModelOption.Value] = [
        .integer(.min), .number(.infinity), .text("no such word"), .texts([]),
      ]
      for value in bad {
        if option.isRequired, case .text = value { continue }
        #expect(!option.accepts(value))
        let error = #expect(throws: ForecasterError.self) {
          try configuration(kind, options: [option.name: value]).validate()
        }
        #expect(error?.message.contains(option.name) == true)
      }
    }
  }
}
