// Names: shape letters B, T, F, D, H, Q, K.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// Stacked Legendre Memory Units (Voelker, Kajić & Eliasmith 2019): a nonlinear state of width `D` beside a fixed
/// linear memory that holds a window of `theta` steps as `q` numbers.
///
/// Starting values as in the paper: `e_m` 0, `e_x` and `e_h` LeCun uniform, matrices Xavier normal. Dropout acts
/// between layers.
public struct LMU<Element: Real>: Backbone {
  struct Layer: Sendable {
    let inputEncoder: ParameterLayout.Tensor
    let hiddenEncoder: ParameterLayout.Tensor
    let memoryEncoder: ParameterLayout.Tensor
    let input: ParameterLayout.Tensor
    let hidden: ParameterLayout.Tensor
    let memory: ParameterLayout.Tensor
  }

  public let width: Int
  let inputs: Int
  let memory: LegendreMemory
  let dropout: Double
  let layers: [Layer]
  private let end: Int

  /// - Parameters:
  ///   - order: `q`.
  ///   - window: `theta`, in steps.
  public init(
    inputs: Int, hidden: Int, layers count: Int, dropout: Double, order: Int = 32, window: Double,
    layout: inout ParameterLayout
  ) {
    width = hidden
    self.inputs = inputs
    self.dropout = dropout
    memory = LegendreMemory(order: order, theta: window)
    layers = (0..<count).map { index in
      let (name, F) = ("backbone.\(index)", index == 0 ? inputs : hidden)
      return Layer(
        inputEncoder: layout.add("\(name).input_encoder", [F]),
        hiddenEncoder: layout.add("\(name).hidden_encoder", [hidden]),
        memoryEncoder: layout.add("\(name).memory_encoder", [order]),
        input: layout.add("\(name).input_weight", [F, hidden]),
        hidden: layout.add("\(name).hidden_weight", [hidden, hidden]),
        memory: layout.add("\(name).memory_weight", [order, hidden]))
    }
    end = layout.count
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    for layer in layers {
      for encoder in [layer.inputEncoder, layer.hiddenEncoder] {
        let bound = (3 / Double(encoder.count)).squareRoot()
        for k in 0..<encoder.count {
          parameters[encoder.offset + k] = Element((2 * stream.uniform() - 1) * bound)
        }
      }
      for k in 0..<layer.memoryEncoder.count { parameters[layer.memoryEncoder.offset + k] = 0 }
      for matrix in [layer.input, layer.hidden, layer.memory] {
        let deviation = (2 / Double(matrix.shape[0] + matrix.shape[1])).squareRoot()
        for k in 0..<matrix.count {
          parameters[matrix.offset + k] = Element(stream.normal() * deviation)
        }
      }
    }
  }

  private func weights(_ layer: Layer, _ graph: Graph<Element>) -> LegendreWeights<Element> {
    LegendreWeights(
      inputEncoder: graph.parameter(layer.inputEncoder),
      hiddenEncoder: graph.parameter(layer.hiddenEncoder),
      memoryEncoder: graph.parameter(layer.memoryEncoder), input: graph.parameter(layer.input),
      hidden: graph.parameter(layer.hidden), memory: graph.parameter(layer.memory))
  }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    var x = inputs
    for (index, layer) in layers.enumerated() {
      if index > 0 { x = x.dropout(dropout, purpose: "dropout of layer \(index)") }
      x = x.legendreUnit(weights(layer, inputs.graph), memory: memory).hidden
    }
    return x.backboneOutput()
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    Stepper(self, parameters, batch: batch)
  }

  /// The graph of a single step, whose results become the states of the next.
  private final class Stepper: BackboneStepper {
    private let parameters: Buffer<Element>
    private let execution: Execution<Element>
    private let input: Tensor<Element>
    private let output: Tensor<Element>
    private var states: [(old: Tensor<Element>, new: Tensor<Element>)] = []

    init(_ backbone: LMU, _ parameters: UnsafePointer<Element>, batch: Int) {
      self.parameters = Buffer(backbone.end)
      self.parameters.base.update(from: parameters, count: backbone.end)
      let graph = Graph<Element>()
      input = graph.input([1, batch, backbone.inputs])
      var x = input
      for layer in backbone.layers {
        let h = graph.input([batch, backbone.width])
        let m = graph.input([batch, backbone.memory.order])
        let (hidden, memory) = x.legendreUnit(
          backbone.weights(layer, graph), memory: backbone.memory, initial: (h, m))
        graph.keep(hidden)
        graph.keep(memory)
        states += [(h, hidden), (m, memory)]
        x = hidden
      }
      output = x
      execution = Execution(Plan(graph))
    }

    func step(_ input: UnsafePointer<Element>, _ output: UnsafeMutablePointer<Element>) {
      execution.input(self.input).update(from: input, count: self.input.shape.count)
      execution.forward(parameters: parameters.base)
      for (old, new) in states {
        execution.input(old).update(from: execution.value(new), count: old.shape.count)
      }
      output.update(from: execution.value(self.output), count: self.output.shape.count)
    }
  }
}
