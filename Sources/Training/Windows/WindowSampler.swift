import NumericsCore

/// Draws a step's windows uniformly, with replacement, from a counter-based stream.
package struct WindowSampler {
  private var stream: RandomStream
  package private(set) var windows: [WindowIndex.Window] = []

  package init(seed: UInt64) { stream = RandomStream(seed: seed, purpose: "windows") }

  /// Where the stream is: with the seed all there is to know about what will be drawn.
  var position: UInt64 {
    get { stream.position }
    set { stream.position = newValue }
  }

  /// - Parameter steps: of its series that a window has before its targets at least; the index must have such windows.
  package mutating func draw(_ count: Int, from index: WindowIndex, reaching steps: Int = 0) {
    windows.removeAll(keepingCapacity: true)
    while windows.count < count {
      let window = index.window(stream.index(below: index.count))
      if window.end >= steps { windows.append(window) }
    }
  }
}
