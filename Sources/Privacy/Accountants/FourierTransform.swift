import Foundation

/// Discrete Fourier transforms of `2^k` complex numbers, in place.
///
/// Forward leaves its result in bit-reversed order and inverse starts from it (decimation in frequency, then
/// in time): products of spectra do not care about order. The result differs from the exact one by less
/// than `relativeError` of its Euclidean norm (Higham, Accuracy and Stability of Numerical Algorithms,
/// theorem 24.2, with twiddle factors accurate to an ulp).
///
/// Apart from the transforms of `NumericsCore`, which run many short sequences side by side: this is one long
/// one, and its error has a proven bound that epsilon rests on.
package final class FourierTransform {
  let count: Int
  /// For each pass with blocks of `2 m`, the `m` factors `exp(-i pi k / m)`, one pass after the other.
  private let cosines: UnsafeMutablePointer<Double>
  private let sines: UnsafeMutablePointer<Double>

  var relativeError: Double {
    10 * 0x1p-53 * Double(count.trailingZeroBitCount)
  }

  package init(count: Int) {
    precondition(count >= 4 && count & (count - 1) == 0)
    self.count = count
    cosines = .allocate(capacity: count)
    sines = .allocate(capacity: count)
    // The longest table is computed, shorter ones are every second of the next.
    let half = count / 2
    let eighth = max(1, half / 4)
    let angle = Double.pi / Double(half)
    for k in 0...eighth {
      let c = cos(angle * Double(k))
      let s = sin(angle * Double(k))
      (cosines[half + k], sines[half + k]) = (c, -s)
      if 2 * eighth - k > eighth {
        (cosines[half + half / 2 - k], sines[half + half / 2 - k]) = (s, -c)
      }
    }
    if half >= 4 {
      for k in 0...(half / 2) {
        let (c, s) = (cosines[half + k], sines[half + k])
        if k > 0, k < half { (cosines[half + half - k], sines[half + half - k]) = (-c, s) }
      }
      (cosines[half + half / 2], sines[half + half / 2]) = (0, -1)
    } else {
      for k in 0..<half {
        (cosines[half + k], sines[half + k]) = (cos(angle * Double(k)), -sin(angle * Double(k)))
      }
    }
    var m = half / 2
    while m >= 1 {
      for k in 0..<m {
        cosines[m + k] = cosines[2 * (m + k)]
        sines[m + k] = sines[2 * (m + k)]
      }
      m /= 2
    }
  }

  deinit {
    cosines.deallocate()
    sines.deallocate()
  }

  package func forward(_ re: UnsafeMutablePointer<Double>, _ im: UnsafeMutablePointer<Double>) {
    var m = count / 2
    while m >= 1 {
      let c = cosines + m
      let s = sines + m
      var start = 0
      while start < count {
        let (r0, i0, r1, i1) = (re + start, im + start, re + start + m, im + start + m)
        for k in 0..<m {
          let (dr, di) = (r0[k] - r1[k], i0[k] - i1[k])
          r0[k] += r1[k]
          i0[k] += i1[k]
          r1[k] = dr * c[k] - di * s[k]
          i1[k] = dr * s[k] + di * c[k]
        }
        start += 2 * m
      }
      m /= 2
    }
  }

  /// The inverse, without the division by `count`.
  package func inverse(_ re: UnsafeMutablePointer<Double>, _ im: UnsafeMutablePointer<Double>) {
    var m = 1
    while m < count {
      let c = cosines + m
      let s = sines + m
      var start = 0
      while start < count {
        let (r0, i0, r1, i1) = (re + start, im + start, re + start + m, im + start + m)
        for k in 0..<m {
          let (tr, ti) = (r1[k] * c[k] + i1[k] * s[k], i1[k] * c[k] - r1[k] * s[k])
          r1[k] = r0[k] - tr
          i1[k] = i0[k] - ti
          r0[k] += tr
          i0[k] += ti
        }
        start += 2 * m
      }
      m *= 2
    }
  }
}
