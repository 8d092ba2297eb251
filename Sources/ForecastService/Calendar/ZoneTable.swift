package import Foundation
import Synchronization

/// The offsets of a time zone as a sorted table, from 1900 to 2150; microseconds since 1970 UTC.
///
/// Outside those years the first and last offset hold. A table is read once from Foundation and kept.
package struct ZoneTable: Sendable {
  /// Where segment `i` begins; the first begins at `Int64.min`.
  let starts: [Int64]
  /// Microseconds east of UTC in segment `i`.
  let offsets: [Int64]
  /// Local time at which segment `i` ends; `Int64.max` for the last.
  let localEnds: [Int64]

  /// A stretch of constant offset, kept by callers that walk through time.
  package struct Cursor: Sendable {
    var lower: Int64 = .max
    var upper: Int64 = .min
    var offset: Int64 = 0
    package init() {}
  }

  private static let tables = Mutex<[String: ZoneTable]>([:])

  /// The table of a zone; the first call for a zone takes milliseconds.
  package static func table(for zone: TimeZone) -> ZoneTable {
    if let known = tables.withLock({ $0[zone.identifier] }) { return known }
    let table = ZoneTable(reading: zone)
    tables.withLock { $0[zone.identifier] = table }
    return table
  }

  /// A zone whose clocks never change.
  init(fixed offset: Int64) {
    starts = [.min]
    offsets = [offset]
    localEnds = [.max]
  }

  private init(reading zone: TimeZone) {
    let end = Date(timeIntervalSince1970: 5_680_281_600)  // 2150-01-01
    var instant = Date(timeIntervalSince1970: -2_208_988_800)  // 1900-01-01
    var offset = Int64(zone.secondsFromGMT(for: instant))
    var starts: [Int64] = [.min]
    var offsets = [offset * 1_000_000]
    while let next = zone.nextDaylightSavingTimeTransition(after: instant), next > instant,
      next < end
    {
      instant = next
      let changed = Int64(zone.secondsFromGMT(for: next))
      if changed != offset {
        offset = changed
        starts.append(Int64(next.timeIntervalSince1970.rounded()) * 1_000_000)
        offsets.append(offset * 1_000_000)
      }
    }
    self.starts = starts
    self.offsets = offsets
    localEnds = starts.indices.map {
      $0 + 1 < starts.count ? starts[$0 + 1] + offsets[$0] : .max
    }
  }

  /// Microseconds east of UTC in winter: the smaller offset of January and July 2000, which is standard
  /// time on both hemispheres.
  var standardOffset: Int64 {
    min(offset(at: 946_684_800_000_000), offset(at: 962_409_600_000_000))
  }

  /// The segment that holds an instant.
  func segment(at instant: Int64) -> Int {
    var low = 0
    var high = starts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= instant { low = middle } else { high = middle }
    }
    return low
  }

  /// Microseconds east of UTC at an instant.
  package func offset(at instant: Int64) -> Int64 { offsets[segment(at: instant)] }

  /// As ``offset(at:)``, quick while instants stay in one segment.
  @inline(__always)
  func offset(at instant: Int64, _ cursor: inout Cursor) -> Int64 {
    if instant >= cursor.lower && instant < cursor.upper { return cursor.offset }
    let index = segment(at: instant)
    cursor.lower = starts[index]
    cursor.upper = index + 1 < starts.count ? starts[index + 1] : .max
    cursor.offset = offsets[index]
    return cursor.offset
  }

  /// The instant of a local wall-clock time.
  ///
  /// A time that occurs twice is its first occurrence; one that is skipped is the first instant after
  /// the gap.
  package func instant(local: Int64) -> Int64 {
    let segment = segment(local: local)
    return max(starts[segment], local - offsets[segment])
  }

  /// Whether an instant is a local time as clocks or programs read it: where the time is skipped, both
  /// the first instant after the gap and the time counted on through the gap.
  func instant(_ instant: Int64, reads local: Int64) -> Bool {
    let segment = segment(local: local)
    if local - offsets[segment] >= starts[segment] {
      return local - offsets[segment] == instant
    }
    return instant == starts[segment] || instant == local - offsets[segment - 1]
  }

  /// The first segment that ends after a local time.
  private func segment(local: Int64) -> Int {
    var low = 0
    var high = localEnds.count - 1
    while low < high {
      let middle = (low + high) / 2
      if local < localEnds[middle] { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
