import Testing
import Training

@Suite("Passes of private training")
struct PrivatePassTests {
  @Test("do not grow with the batch, fill register tiles, and are of one size")
  func size() {
    /// Units of a pass where each of them takes `bytes`.
    func units(of all: Int, windows: Int = 1, bytes: Int) -> Int {
      PrivatePass.units(of: all, windows: windows) { $0 * bytes }
    }
    let megabyte = 1 << 20
    // Few units: all at once, whatever they take.
    #expect(units(of: 7, bytes: 9 * megabyte) == 7)
    #expect(units(of: 16, bytes: 9 * megabyte) == 16)
    // Large ones: 16 rows.
    #expect(units(of: 64, bytes: megabyte) == 16)
    #expect(units(of: 6400, bytes: megabyte) == 16)
    #expect(units(of: 64, windows: 4, bytes: 4 * megabyte) == 4)
    // Small ones: 2 MB.
    #expect(units(of: 128, bytes: megabyte / 16) == 32)
    #expect(units(of: 12800, bytes: megabyte / 16) == 32)
    // 100 in 4 passes of 25, not in 3 of 32 and one of 4.
    #expect(units(of: 100, bytes: megabyte / 16) == 25)
    #expect(units(of: 20, bytes: 1) == 20)
  }
}
