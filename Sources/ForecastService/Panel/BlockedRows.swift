import Foundation
package import Training

/// Collects the rows that a private training may see where budgets are by block of time: those whose time stamp lies
/// in a block that was paid for, and nothing else.
///
/// What a series has in one block is a series of its own here, so no window crosses a border of blocks: each row is in
/// one unit, of one block, and a run spends of a block's budget only for what it does with that block's rows.
package struct BlockedRows: Sendable {
  /// A block of time in microseconds since 1970 UTC.
  package struct Block: Sendable, Equatable {
    let name: String
    let from: Int64
    let until: Int64

    package init(name: String, from: Int64, until: Int64) {
      self.name = name
      self.from = from
      self.until = until
    }
  }

  /// In the order of time, apart from each other.
  private let blocks: [Block]
  /// What is put behind a key for each block.
  private let endings: [[UInt8]]
  private var builder: PanelBuilder
  private var last = 0
  private var key: [UInt8] = []

  package init(_ blocks: [Block], grid: CalendarGrid, options: PanelOptions) {
    self.blocks = blocks.sorted { $0.from < $1.from }
    endings = self.blocks.map { Array(" in \($0.name)".utf8) }
    var options = options
    let (all, overflow) = options.maxSeries.multipliedReportingOverflow(by: max(1, blocks.count))
    options.maxSeries = overflow ? .max : all
    builder = PanelBuilder(grid: grid, options: options)
  }

  /// Takes the row, or leaves it out where it has no key or lies in none of the blocks.
  ///
  /// - Parameter time: as for ``PanelBuilder/append(key:time:value:)``.
  @inline(__always)
  package mutating func append(
    key: UnsafeRawBufferPointer?, time: Int64?, value: Double?
  ) throws(PanelError) {
    guard let key, !key.isEmpty, let time, let block = block(of: time) else { return }
    self.key.removeAll(keepingCapacity: true)
    self.key.append(contentsOf: key)
    self.key.append(contentsOf: endings[block])
    let result: Result<Void, PanelError> = self.key.withUnsafeBytes { bytes in
      do throws(PanelError) {
        try builder.append(key: bytes, time: time, value: value)
        return .success(())
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }

  /// Rows mostly come in the order of time: the block of the row before is looked at first.
  private mutating func block(of time: Int64) -> Int? {
    if blocks.isEmpty { return nil }
    if time >= blocks[last].from, time < blocks[last].until { return last }
    var (low, high) = (0, blocks.count)
    while low < high {
      let middle = (low + high) / 2
      if blocks[middle].until <= time { low = middle + 1 } else { high = middle }
    }
    guard low < blocks.count, time >= blocks[low].from else { return nil }
    last = low
    return low
  }

  /// The series that a model is fitted to; empty afterwards.
  package mutating func finish() -> Panel { builder.finish().trainingPanel }
}

extension BlockedRows.Block {
  /// The block that a charge is for; nil where it is open at an end.
  init?(_ receipt: PrivacyLedger.Receipt) {
    guard let from = receipt.blockFrom, let until = receipt.blockUntil else { return nil }
    self.init(
      name: receipt.block, from: Int64((from.timeIntervalSince1970 * 1e6).rounded()),
      until: Int64((until.timeIntervalSince1970 * 1e6).rounded()))
  }
}
