// Names: shape letters B, D, P, Q; n for patches.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import NumericsCore

/// A TiRex network that is run and not trained: weights packed once, shared by all threads.
// Unchecked: written by init only.
package final class PackedTiRex: @unchecked Sendable {
  struct Ends {
    let hidden: PackedProduct<Float>
    let output: PackedProduct<Float>
    let residual: PackedProduct<Float>

    init(_ network: ResidualNetwork, _ parameters: UnsafePointer<Float>) {
      func product(
        _ weight: ParameterLayout.Tensor, _ bias: ParameterLayout.Tensor,
        _ form: PackedProduct<Float>.Form
      ) -> PackedProduct<Float> {
        PackedProduct(
          inputs: weight.shape[0], outputs: weight.shape[1], form,
          weight: parameters + weight.offset, bias: parameters + bias.offset)
      }
      hidden = product(network.hidden, network.hiddenBias, .relu)
      output = product(network.output, network.outputBias, .plain)
      residual = product(network.residual, network.residualBias, .plain)
    }
  }

  struct Block {
    let norm: Buffer<Float>
    /// One cell for each head: its gates see its part of the input alone.
    let cells: [PackedRecurrent<Float>]
    let headNorm: Buffer<Float>
    let networkNorm: Buffer<Float>
    let up: PackedProduct<Float>
    let down: PackedProduct<Float>

    init(_ block: TiRexBlock, _ size: TiRexSize, _ parameters: UnsafePointer<Float>) {
      norm = Buffer(copying: parameters, block.norm)
      headNorm = Buffer(copying: parameters, block.headNorm)
      networkNorm = Buffer(copying: parameters, block.networkNorm)
      up = PackedProduct(
        inputs: size.width, outputs: size.feedForward, .gated,
        weight: parameters + block.up.offset, gate: parameters + block.upGate.offset)
      down = PackedProduct(
        inputs: size.feedForward, outputs: size.width, weight: parameters + block.down.offset)
      let part = size.width / size.heads
      let weight = Buffer<Float>(4 * part * part)
      let bias = Buffer<Float>(4 * part)
      cells = (0..<size.heads).map { head in
        for gate in 0..<4 {
          let from = parameters + block.gates.offset + (gate * size.heads + head) * part * part
          for k in 0..<part {
            (weight.base + (k * 4 + gate) * part).update(from: from + k * part, count: part)
          }
          (bias.base + gate * part).update(
            from: parameters + block.bias.offset + gate * size.width + head * part, count: part)
        }
        return withExtendedLifetime((weight, bias)) {
          PackedRecurrent(
            RecurrentCell(.slstm, inputs: part, width: part), input: weight.base,
            recurrent: parameters + block.recurrent.offset + head * 4 * part * part,
            bias: bias.base)
        }
      }
    }
  }

  package let size: TiRexSize
  let levels: [Double]
  let contextLength: Int
  let entry: Ends
  let blocks: [Block]
  let gain: Buffer<Float>
  let exit: Ends

  package init(_ weights: TiRexWeights) {
    (size, levels, contextLength) = (weights.size, weights.levels, weights.contextLength)
    let network = weights.network
    let size = size
    let parts: (Ends, [Block], Buffer<Float>, Ends) = weights.parameters.withUnsafeBufferPointer {
      let parameters = $0.baseAddress!
      return (
        Ends(network.entry, parameters),
        network.blocks.map { Block($0, size, parameters) },
        Buffer(copying: parameters, network.gain), Ends(network.exit, parameters)
      )
    }
    (entry, blocks, gain, exit) = parts
  }

  /// Patches of a whole context.
  var patches: Int { contextLength / size.patch }
}

/// Runs a packed TiRex network on batches of series, with memory of its own. Not synchronised.
///
/// What belongs to single patches is done by tiles of rows that stay in a core's cache, the recurrences head by
/// head over all series of the batch. With several threads, both are shared among them.
package final class TiRexEngine {
  let model: PackedTiRex
  private let threads: Int
  /// Rows of a tile: its activations take about a megabyte.
  private static let tile = 192

  /// Values and masks of the patches `[n, B, 2 P]`: filled by the caller of ``run(_:batch:last:after:)``.
  private let tokens = Buffer<Float>(0)
  private let x = Buffer<Float>(0)
  private let u = Buffer<Float>(0)
  private let h = Buffer<Float>(0)
  private let results = Buffer<Float>(0)
  /// For each thread: activations of a tile, and what the cells need.
  private var tiles: [Tile]
  private var states: [Int: [Buffer<Float>]] = [:]

  private struct Tile {
    let inner: Buffer<Float>
    let row: Buffer<Float>
    let statistics: Buffer<Float>
    let cells = Buffer<Float>(0)
    let h = Buffer<Float>(0)
    let c = Buffer<Float>(0)
  }

  package init(_ model: PackedTiRex, threads: Int = 1) {
    self.model = model
    self.threads = threads
    let size = model.size
    tiles = (0..<threads).map { _ in
      Tile(
        inner: Buffer(Self.tile * max(size.feedForward, size.ends)),
        row: Buffer(Self.tile * size.width),
        statistics: Buffer(2 * Self.tile * size.heads))
    }
  }

  /// Room for the patches of a batch, to be filled before ``run(_:batch:last:after:)``.
  ///
  /// - Parameter missing: missing patches that all series have before the first.
  package func tokens(_ n: Int, batch B: Int, after missing: Int = 0) -> UnsafeMutablePointer<Float>
  {
    if missing > 0, states[missing] == nil { states[missing] = state(after: missing) }
    tokens.reserve(n * B * 2 * model.size.patch)
    return tokens.base
  }

  /// Runs the network over the patches that were filled in.
  ///
  /// - Parameters:
  ///   - last: how many patches, from the last one backwards, results are wanted for.
  ///   - missing: as given to ``tokens(_:batch:after:)``.
  /// - Returns: `[last, B, Q P]`, valid until the next run.
  package func run(_ n: Int, batch B: Int, last: Int, after missing: Int = 0) -> UnsafePointer<
    Float
  > {
    run(n, batch: B, last: last, initial: missing > 0 ? states[missing]! : nil, final: nil)
  }

  private func run(
    _ n: Int, batch B: Int, last: Int, initial: [Buffer<Float>]?, final: [Buffer<Float>]?
  ) -> UnsafePointer<Float> {
    let size = model.size
    let (D, rows) = (size.width, n * B)
    let length = size.heads * model.blocks[0].cells[0].rowLength
    x.reserve(rows * D)
    u.reserve(rows * D)
    h.reserve(rows * length)
    results.reserve(last * B * size.quantiles * size.patch)

    share(0..<rows) { rows, tile in
      self.enter(rows, tile)
      self.normalise(rows, self.x, gain: self.model.blocks[0].norm, tile)
    }
    for (index, block) in model.blocks.enumerated() {
      let isLast = index == model.blocks.count - 1
      recur(block, n, B, initial: initial?[index], final: final?[index])
      // What follows the last recurrence is wanted for the last patches only.
      share((isLast ? (n - last) * B : 0)..<rows) { rows, tile in
        self.finish(block, rows, tile)
        self.normalise(
          rows, self.x, gain: isLast ? self.model.gain : self.model.blocks[index + 1].norm, tile)
        if isLast { self.leave(rows, at: rows.lowerBound - (n - last) * B, tile) }
      }
    }
    return UnsafePointer(results.base)
  }

  // MARK: Rows

  /// Calls `body` for tiles of rows, on all threads.
  private func share(_ rows: Range<Int>, _ body: @escaping (Range<Int>, Tile) -> Void) {
    let work = Work(body: body, tiles: tiles)
    let threads = min(threads, rows.count)
    parallel(count: threads) { thread in
      let first = rows.lowerBound + rows.count * thread / threads
      let end = rows.lowerBound + rows.count * (thread + 1) / threads
      for start in stride(from: first, to: end, by: Self.tile) {
        work.body(start..<min(start + Self.tile, end), work.tiles[thread])
      }
    }
  }

  // Unchecked: each thread has a tile of its own and rows of its own.
  private struct Work: @unchecked Sendable {
    let body: (Range<Int>, Tile) -> Void
    let tiles: [Tile]
  }

  private func enter(_ rows: Range<Int>, _ tile: Tile) {
    let size = model.size
    let from = tokens.base + rows.lowerBound * 2 * size.patch
    let to = x.base + rows.lowerBound * size.width
    apply(model.entry, rows.count, from, to, tile)
  }

  private func leave(_ rows: Range<Int>, at place: Int, _ tile: Tile) {
    let size = model.size
    apply(
      model.exit, rows.count, u.base + rows.lowerBound * size.width,
      results.base + place * size.quantiles * size.patch, tile)
  }

  private func apply(
    _ ends: PackedTiRex.Ends, _ rows: Int, _ from: UnsafePointer<Float>,
    _ to: UnsafeMutablePointer<Float>, _ tile: Tile
  ) {
    ends.hidden.apply(rows: rows, from, tile.inner.base)
    ends.residual.apply(rows: rows, from, to)
    ends.output.apply(rows: rows, tile.inner.base, to, adds: true)
  }

  /// `u` of `source`, normalised by root mean squares.
  private func normalise(
    _ rows: Range<Int>, _ source: Buffer<Float>, gain: Buffer<Float>, _ tile: Tile
  ) {
    let D = model.size.width
    Float.normalise(
      rows: rows.count, width: D, centred: false, epsilon: 1e-6, source.base + rows.lowerBound * D,
      gain: gain.base, u.base + rows.lowerBound * D, statistics: tile.statistics.base)
  }

  /// What a block adds to `x` after its recurrence: its normalised results, then the feed-forward network.
  private func finish(_ block: PackedTiRex.Block, _ rows: Range<Int>, _ tile: Tile) {
    let size = model.size
    let (D, part) = (size.width, size.width / size.heads)
    let length = block.cells[0].rowLength
    let x = x.base + rows.lowerBound * D
    var from = h.base + rows.lowerBound * size.heads * length
    if length != part {
      // Rows of the cells are longer than a head: bring the heads together, in place.
      for row in 0..<(rows.count * size.heads) {
        (tile.row.base + row * part).update(from: from + row * length, count: part)
      }
      from = tile.row.base
    }
    Float.normalise(
      rows: rows.count * size.heads, width: part, groups: size.heads, centred: true, epsilon: 1e-5,
      from, gain: block.headNorm.base, tile.row.base, statistics: tile.statistics.base)
    Float.add(rows.count * D, tile.row.base, to: x)
    Float.normalise(
      rows: rows.count, width: D, centred: false, epsilon: 1e-6, x, gain: block.networkNorm.base,
      tile.row.base, statistics: tile.statistics.base)
    block.up.apply(rows: rows.count, tile.row.base, tile.inner.base)
    block.down.apply(rows: rows.count, tile.inner.base, x, adds: true)
  }

  // MARK: Recurrence

  /// `h` of `u`, each head by itself; `initial` and `final` hold the states of one series.
  private func recur(
    _ block: PackedTiRex.Block, _ n: Int, _ B: Int, initial: Buffer<Float>?, final: Buffer<Float>?
  ) {
    let size = model.size
    let (D, part, length) = (size.width, size.width / size.heads, block.cells[0].rowLength)
    let (heads, threads) = (size.heads, min(self.threads, size.heads))
    let width = heads * length
    let operands = Operands(u: u, h: h, initial: initial, final: final, tiles: tiles)
    parallel(count: threads) { thread in
      let tile = operands.tiles[thread]
      for head in (heads * thread / threads)..<(heads * (thread + 1) / threads) {
        let cell = block.cells[head]
        tile.cells.reserve(cell.scratchCount(steps: n, rows: B))
        var first: PackedRecurrent<Float>.State?
        if let initial = operands.initial {
          // The same state for every series.
          let state = initial.base + head * 4 * length
          tile.h.reserve(B * length)
          tile.c.reserve(3 * B * length)
          for row in 0..<B {
            (tile.h.base + row * length).update(from: state, count: length)
            for memory in 0..<3 {
              (tile.c.base + (memory * B + row) * length).update(
                from: state + (1 + memory) * length, count: length)
            }
          }
          first = .init(h: tile.h.base, c: tile.c.base, memory: B * length)
        }
        var last: PackedRecurrent<Float>.State?
        if let final = operands.final {
          let state = final.base + head * 4 * length
          last = .init(h: state, c: state + length, memory: length)
        }
        let h = operands.h.base + head * length
        cell.apply(
          steps: n, rows: B, operands.u.base + head * part, xTime: B * D, xRow: D, h,
          hTime: B * width, hRow: width, initial: first, last: last, scratch: tile.cells.base)
        if let last {
          last.h.update(from: h + (n - 1) * B * width, count: length)
        }
      }
    }
  }

  // Unchecked: each thread has heads of its own.
  private struct Operands: @unchecked Sendable {
    let u: Buffer<Float>
    let h: Buffer<Float>
    let initial: Buffer<Float>?
    let final: Buffer<Float>?
    let tiles: [Tile]
  }

  /// The states of all blocks after a number of missing patches, which are the same for every series: a series
  /// that is much shorter than the context costs what its own patches cost.
  private func state(after missing: Int) -> [Buffer<Float>] {
    let length = model.size.heads * model.blocks[0].cells[0].rowLength
    let final = model.blocks.map { _ in Buffer<Float>(4 * length) }
    tokens(missing, batch: 1).clear(missing * 2 * model.size.patch)
    _ = run(missing, batch: 1, last: 1, initial: nil, final: final)
    return final
  }
}
