// Names: shape letters B, T, F, D.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import NumericsCore

/// What a residual block of a ``MixerStack`` does to its normalised input; it knows where its parameters lie, as a
/// ``Backbone`` does.
protocol SequenceMixer<Element>: Sendable {
  associatedtype Element: Real

  func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream)

  /// Whether a sequence can be mixed segment by segment, with states carried over.
  var carriesStates: Bool { get }

  /// `[T, B, D]` to `[T, B, D]`.
  func mix(_ x: Tensor<Element>, _ run: MixerRun<Element>) -> Tensor<Element>
}

extension SequenceMixer {
  var carriesStates: Bool { false }
}

/// How a mixer runs.
enum MixerRun<Element: Real> {
  /// A sequence, observed in even steps or `[T, B]` of them apart: whole and from the zero state, or a segment
  /// for mixers that carry states.
  case sequence(gaps: Tensor<Element>? = nil, carried: CarriedStates<Element> = .none)
  /// A sequence of length 1 that goes on where the one before ended; steppers find their weights here.
  case stepping(UnsafePointer<Element>)

  /// A layer with a state: over the sequence, or as a stepper, made when the graph is.
  func layer(
    sequence: (Tensor<Element>?) -> Tensor<Element>,
    stepping: (UnsafePointer<Element>) -> Tensor<Element>
  ) -> Tensor<Element> {
    switch self {
    case .sequence(let gaps, _): sequence(gaps)
    case .stepping(let parameters): stepping(parameters)
    }
  }

  var carried: CarriedStates<Element> {
    if case .sequence(_, let carried) = self { carried } else { .none }
  }
}

/// A linear layer into width `D`, then blocks `x + mixer(norm(x))`, and a last norm: what all backbones of state
/// spaces are but for their mixers. Dropout acts on what a block adds.
public struct MixerStack<Element: Real>: Backbone {
  struct Block: Sendable {
    let norm: Norm
    let mixer: any SequenceMixer<Element>
  }

  public let width: Int
  let inputs: Int
  let dropout: Double
  let encoder: Projection
  let blocks: [Block]
  let norm: Norm
  private let end: Int

  /// - Parameter makeMixer: adds the parameters of one block under a name.
  init(
    inputs: Int, hidden: Int, layers: Int, dropout: Double, norm kind: Norm.Kind,
    layout: inout ParameterLayout,
    makeMixer: (_ name: String, _ layout: inout ParameterLayout) -> any SequenceMixer<Element>
  ) {
    width = hidden
    self.inputs = inputs
    self.dropout = dropout
    encoder = Projection("backbone.encoder", inputs, hidden, layout: &layout)
    var blocks: [Block] = []
    for index in 0..<layers {
      let name = "backbone.\(index)"
      let norm = Norm(kind, "\(name).norm", hidden, layout: &layout)
      blocks.append(Block(norm: norm, mixer: makeMixer(name, &layout)))
    }
    self.blocks = blocks
    norm = Norm(kind, "backbone.norm", hidden, layout: &layout)
    end = layout.count
  }

  /// With the sizes that all configurations have.
  init(
    _ configuration: ForecasterConfiguration, inputs: Int, norm kind: Norm.Kind,
    layout: inout ParameterLayout,
    makeMixer: (_ name: String, _ layout: inout ParameterLayout) -> any SequenceMixer<Element>
  ) {
    self.init(
      inputs: inputs, hidden: configuration.hidden, layers: configuration.layers,
      dropout: configuration.dropout, norm: kind, layout: &layout, makeMixer: makeMixer)
  }

  public func initialize(_ parameters: Buffer<Element>, using stream: inout RandomStream) {
    encoder.initialize(parameters, using: &stream)
    for block in blocks {
      block.norm.initialize(parameters)
      block.mixer.initialize(parameters, using: &stream)
    }
    norm.initialize(parameters)
  }

  private func apply(
    _ block: Block, at index: Int, to x: Tensor<Element>, _ run: MixerRun<Element>
  ) -> Tensor<Element> {
    let mixed = block.mixer.mix(block.norm(x), run)
    return x + mixed.dropout(dropout, purpose: "dropout of layer \(index)")
  }

  /// All steps `[T, B, D]`.
  private func apply(to inputs: Tensor<Element>, _ run: MixerRun<Element>) -> Tensor<Element> {
    var x = encoder(inputs)
    for (index, block) in blocks.enumerated() {
      if case .sequence(let gaps, _) = run, block.mixer.carriesStates {
        x = segmented(block, at: index, to: x, gaps)
      } else {
        x = apply(block, at: index, to: x, run)
      }
    }
    return norm(x)
  }

  private func segmented(
    _ block: Block, at index: Int, to x: Tensor<Element>, _ gaps: Tensor<Element>? = nil,
    recomputes: Bool = false
  ) -> Tensor<Element> {
    x.graph.segmented([x] + (gaps.map { [$0] } ?? []), recomputes: recomputes) {
      _, copies, carried in
      apply(
        block, at: index, to: copies[0],
        .sequence(gaps: gaps == nil ? nil : copies[1], carried: carried))
    }
  }

  /// The same, with each block computed again for the backward pass.
  func recomputed(_ inputs: Tensor<Element>) -> Tensor<Element> {
    var x = encoder(inputs)
    for (index, block) in blocks.enumerated() {
      if block.mixer.carriesStates {
        x = segmented(block, at: index, to: x, recomputes: true)
        continue
      }
      x =
        inputs.graph.recomputed([x]) { _, copies in
          [apply(block, at: index, to: copies[0], .sequence())]
        }[0]
    }
    return norm(x)
  }

  func sequence(_ inputs: Tensor<Element>) -> Tensor<Element> { apply(to: inputs, .sequence()) }

  public func apply(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    sequence(inputs).backboneOutput()
  }

  /// The same for observations at any times: mixers are discretised with the true time between them. Only those of
  /// S4D, S5, Mamba and Mamba-2 can be.
  ///
  /// - Parameter gaps: `[T, B]`, the time since the step before in units of the usual one; the first counts from the
  ///   zero state. No gradient flows into them.
  public func apply(to inputs: Tensor<Element>, gaps: Tensor<Element>) -> BackboneOutput<Element> {
    apply(to: inputs, .sequence(gaps: gaps)).backboneOutput()
  }

  /// Block by block.
  public func applyRecomputed(to inputs: Tensor<Element>) -> BackboneOutput<Element> {
    recomputed(inputs).backboneOutput()
  }

  public func makeStepper(
    _ parameters: UnsafePointer<Element>, batch: Int
  ) -> any BackboneStepper<Element> {
    StepGraph(parameters, end: end, batch: batch, inputs: inputs) {
      apply(to: $0, .stepping(parameters))
    }
  }
}
