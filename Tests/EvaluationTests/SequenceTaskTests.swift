// Names: shape letters T, B, F, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Evaluation
import Forecasters
import NumericsCore
import TestSupport
import Testing

@Suite("Sequence tasks")
struct SequenceTaskTests {
  private struct Drawn {
    let x: Buffer<Float>
    let y: Buffer<Float>
    let scored: Buffer<Float>

    init(_ task: SequenceTask) {
      x = Buffer(24 * 5 * task.inputs)
      y = Buffer(24 * 5 * task.outputs)
      scored = Buffer(24 * 5)
      var stream = RandomStream(seed: 3, purpose: "task")
      task.draw(
        steps: 24, batch: 5, from: &stream, x.base, y.base, scored.base)
    }
  }

  @Test("targets follow from the inputs as the tasks say")
  func targets() {
    let parity = Drawn(.parity)
    for b in 0..<5 {
      var product: Float = 1
      for t in 0..<24 {
        product *= -parity.x[t * 5 + b]
        #expect(parity.y[t * 5 + b] == -product)
      }
    }
    let modular = Drawn(.modular)
    for b in 0..<5 {
      var sum = 0
      for t in 0..<24 {
        sum += (0..<3).first { modular.x[(t * 5 + b) * 3 + $0] == 1 }!
        #expect(
          (0..<3).map { modular.y[(t * 5 + b) * 3 + $0] } == (0..<3).map { $0 == sum % 3 ? 1 : -1 })
      }
    }
    let copy = Drawn(.copy)
    for b in 0..<5 {
      for t in 0..<8 {
        let shown = (0..<8).first { copy.x[(t * 5 + b) * 9 + $0] == 1 }
        let asked = (0..<8).first { copy.y[((16 + t) * 5 + b) * 8 + $0] == 1 }
        #expect(shown != nil && shown == asked && copy.scored[(16 + t) * 5 + b] == 1)
      }
      #expect((0..<24).reduce(0) { $0 + copy.scored[$1 * 5 + b] } == 8)
    }
    let adding = Drawn(.adding)
    for b in 0..<5 {
      let sum = (0..<24).reduce(Float(0)) {
        $0 + adding.x[($1 * 5 + b) * 2] * adding.x[($1 * 5 + b) * 2 + 1]
      }
      expectClose(Double(adding.y[23 * 5 + b]), Double(sum), absolute: 1e-6)
    }
  }

  @Test("a state that tracks learns parity, beyond the length it was trained at")
  func tracks() throws {
    let trial = try SequenceTaskTrial(
      .parity,
      ForecasterConfiguration(
        kind: "elman", hidden: 16, layers: 1, contextLength: 12, horizon: 1))
    #expect(abs(trial.score(steps: 12) - 0.5) < 0.1)
    trial.train(steps: 600, rate: 1e-2)
    #expect(trial.score(steps: 12) > 0.99)
    #expect(trial.score(steps: 96) > 0.95)
  }
}
