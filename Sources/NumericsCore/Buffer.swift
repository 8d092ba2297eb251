/// Contiguous, 64-byte aligned numbers with one owner: what kernels work on.
///
/// Not copied on assignment and never grown in an inner loop. Not synchronised: one thread writes at
/// a time, which `parallel(count:_:)` keeps by giving each worker buffers of its own.
public final class Buffer<Element: Real>: @unchecked Sendable {  // see above
  public private(set) var base: UnsafeMutablePointer<Element>
  public private(set) var count: Int

  /// - Parameter count: elements, all zero at first.
  public init(_ count: Int) {
    self.count = count
    base = Self.allocate(count)
  }

  public convenience init(_ values: [Element]) {
    self.init(values.count)
    for (position, value) in values.enumerated() { base[position] = value }
  }

  deinit { UnsafeMutableRawPointer(base).deallocate() }

  private static func allocate(_ count: Int) -> UnsafeMutablePointer<Element> {
    let bytes = max(count, 1) * MemoryLayout<Element>.stride
    let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    raw.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    return raw.bindMemory(to: Element.self, capacity: max(count, 1))
  }

  public subscript(position: Int) -> Element {
    get { base[position] }
    set { base[position] = newValue }
  }

  /// Makes room for at least `wanted` elements; what was there is lost when it had to grow.
  public func reserve(_ wanted: Int) {
    guard wanted > count else { return }
    UnsafeMutableRawPointer(base).deallocate()
    base = Self.allocate(wanted)
    count = wanted
  }

  public func zero(_ length: Int? = nil) { base.clear(length ?? count) }

  public func copy(from other: Buffer<Element>) {
    precondition(other.count == count)
    base.update(from: other.base, count: count)
  }

  public var array: [Element] { Array(UnsafeBufferPointer(start: base, count: count)) }
}

extension UnsafeMutablePointer where Pointee: Real {
  /// Makes `count` numbers zero, in one go: `update(repeating:)` calls the type's witness for each of them
  /// where the compiler does not know the type.
  package func clear(_ count: Int) {
    UnsafeMutableRawPointer(self).initializeMemory(
      as: UInt8.self, repeating: 0, count: count * MemoryLayout<Pointee>.stride)
  }
}
