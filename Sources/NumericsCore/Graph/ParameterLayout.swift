/// Where each named tensor of a model lies in one flat buffer of parameters.
///
/// Models list their parameters here, explicitly and in a fixed order; optimisers and checkpoints see
/// only the layout and the buffer.
public struct ParameterLayout: Sendable {
  public struct Tensor: Sendable {
    public let name: String
    public let shape: [Int]
    public let offset: Int
    public var count: Int { shape.reduce(1, *) }
  }

  public private(set) var tensors: [Tensor] = []
  /// Parameters in all.
  public private(set) var count = 0

  public init() {}

  /// Adds a tensor, after those that are there.
  public mutating func add(_ name: String, _ shape: [Int]) -> Tensor {
    let tensor = Tensor(name: name, shape: shape, offset: count)
    tensors.append(tensor)
    count += tensor.count
    return tensor
  }
}
