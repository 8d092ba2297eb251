import NumericsCore

/// Draws a step's windows uniformly, with replacement, from a counter-based stream.
struct WindowSampler {
  private var stream: RandomStream
  private(set) var windows: [WindowIndex.Window] = []

  init(seed: UInt64) { stream = RandomStream(seed: seed, purpose: "windows") }

  /// Where the stream is: with the seed all there is to know about what will be drawn.
  var position: UInt64 {
    get { stream.position }
    set { stream.position = newValue }
  }

  mutating func draw(_ count: Int, from index: WindowIndex) {
    windows.removeAll(keepingCapacity: true)
    for _ in 0..<count { windows.append(index.window(stream.index(below: index.count))) }
  }
}
