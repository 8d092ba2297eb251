import Forecasters
import Foundation
import NumericsCore
import TestSupport
import Testing

/// Layers that torch made and ran; see Golden/pytorch_recurrent.py.
private struct Cases: Decodable, Sendable {
  struct Case: Decodable, Sendable {
    let file: String
    let kind: String
    let double: Bool
    let prefix: String
    let inputs: Int
    let hidden: Int
    let layers: Int
    let steps: Int
    let batch: Int
    let x: [Double]
    let y: [Double]
  }
  let cases: [Case]
  let f16: [String]
  let bf16: [String]
}

@Suite("Recurrent layers from PyTorch")
struct PyTorchImportTests {
  private func bytes(_ name: String) throws -> [UInt8] { try [UInt8](Golden.data(name)) }

  private func check<Element: Real>(
    _ golden: Cases.Case, _ type: Element.Type, tolerance: Element
  ) throws {
    let imported = try ImportedRecurrent(
      pyTorch: bytes(golden.file), usesReLU: golden.kind == "elmanReLU", as: Element.self)
    let (T, B, D) = (golden.steps, golden.batch, golden.hidden)
    #expect(imported.backbone.width == D)
    #expect(imported.parameters.count == imported.layout.count)
    let parameters = Buffer(imported.parameters)
    let graph = Graph<Element>()
    let x = graph.input([T, B, golden.inputs])
    let output = imported.backbone.apply(to: x)
    graph.keep(output.all)
    let execution = Execution(Plan(graph))
    for (k, value) in golden.x.enumerated() { execution.input(x)[k] = Element(value) }
    execution.forward(parameters: parameters.base)
    let y = (0..<(T * B * D)).map { execution.value(output.all)[$0] }
    expectClose(y, golden.y.map { Element($0) }, absolute: tolerance, "\(golden.file)")

    // And step by step, in constant memory.
    let stepper = imported.backbone.makeStepper(parameters.base, batch: B)
    let row = Buffer<Element>(B * D)
    for t in 0..<T {
      let inputs = Buffer(
        golden.x[(t * B * golden.inputs)..<((t + 1) * B * golden.inputs)].map { Element($0) })
      stepper.step(inputs.base, row.base)
      expectClose(
        row.array, golden.y[(t * B * D)..<((t + 1) * B * D)].map { Element($0) },
        absolute: tolerance, "\(golden.file), step \(t)")
    }
    // The prefix may be given.
    let named = try ImportedRecurrent(
      pyTorch: bytes(golden.file), prefix: golden.prefix,
      usesReLU: golden.kind == "elmanReLU", as: Element.self)
    #expect(named.parameters == imported.parameters)
  }

  @Test("LSTM, GRU and RNN give what torch gives")
  func outputs() throws {
    let golden: Cases = try Golden.json("pytorch_recurrent.json")
    #expect(golden.cases.count == 10)
    #expect(Set(golden.cases.map(\.kind)) == ["lstm", "gru", "elman", "elmanReLU"])
    for one in golden.cases {
      if one.double { try check(one, Double.self, tolerance: 1e-12) }
      // Numbers of double precision are rounded on the way in.
      try check(one, Float.self, tolerance: 1e-6)
    }
  }

  @Test("halves of both kinds are read as torch wrote them")
  func halves() throws {
    let golden: Cases = try Golden.json("pytorch_recurrent.json")
    let file = try Safetensors(decoding: bytes("halves.safetensors"))
    for (name, expected) in [("f16", golden.f16), ("bf16", golden.bf16)] {
      let values: [Double] = try file.numbers(name)
      #expect(values == expected.map { Double($0)! })
      #expect(values[1].sign == .minus && values.last == .infinity)
    }
  }

  private func message(_ bytes: [UInt8], prefix: String? = nil) -> String {
    do {
      _ = try ImportedRecurrent(pyTorch: bytes, prefix: prefix, as: Float.self)
      return "accepted"
    } catch let error as ForecasterError {
      #expect(error.code == .badWeights)
      return error.message
    } catch { return "another error: \(error)" }
  }

  @Test("what cannot be taken over is refused by name")
  func refused() throws {
    #expect(
      try message(bytes("pytorch_bidirectional.safetensors")).contains(
        "l0_reverse is of a bidirectional layer"))
    #expect(
      try message(bytes("pytorch_projection.safetensors")).contains("weight_hr_l0 is a projection"))
    #expect(message([1, 2, 3]).contains("shorter than a header"))
    #expect(message(Safetensors().encoded()).contains("there is no tensor weight_ih_l0"))
    let gru = try bytes("pytorch_gru_f32.safetensors")
    #expect(message(gru, prefix: "decoder.").contains("tensor decoder.weight_ih_l0 is missing"))

    func made(_ change: (inout [String: ([Int], [Float])]) -> Void) -> String {
      var tensors: [String: ([Int], [Float])] = [
        "weight_ih_l0": ([8, 3], [Float](repeating: 0.1, count: 24)),
        "weight_hh_l0": ([8, 2], [Float](repeating: 0.1, count: 16)),
        "bias_ih_l0": ([8], [Float](repeating: 0.1, count: 8)),
        "bias_hh_l0": ([8], [Float](repeating: 0.1, count: 8)),
      ]
      change(&tensors)
      var file = Safetensors()
      for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
        file.add(name, tensor.0, tensor.1)
      }
      return message(file.encoded())
    }
    #expect(made { _ in } == "accepted")
    #expect(made { $0["weight_hh_l0"] = nil }.contains("weight_hh_l0 is missing"))
    #expect(made { $0["bias_hh_l0"] = nil }.contains("bias_hh_l0 is missing"))
    #expect(made { $0["bias_hh_l0"] = ([4], [0, 0, 0, 0]) }.contains("is [4], expected [8]"))
    #expect(made { $0["weight_ih_l0"] = ([24], [Float](repeating: 0, count: 24)) }.contains("[24]"))
    #expect(
      made { $0["weight_ih_l1"] = ([8, 3], [Float](repeating: 0, count: 24)) }.contains(
        "weight_ih_l1 is [8, 3], expected [8, 2]"))
    #expect(
      made { $0["other.weight_ih_l0"] = ([1], [0]) }.contains("give the prefix of one"))
    #expect(made { $0["bias_ih_l0"]!.1[3] = .nan }.contains("a weight is nan"))
    #expect(
      made {
        $0["weight_ih_l0"] = ([4, 1], [0, 0, 0, 0])
        $0["weight_hh_l0"] = ([4, 2], [Float](repeating: 0, count: 8))
      }.contains("expected 1, 3 or 4 gates of 2 units"))
  }
}
