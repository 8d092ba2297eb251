// Elementwise kernels as plain loops: the compiler vectorises one version per processor level.
#include "include/ckernels.h"
#include <math.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__)
#define CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CLONES
#endif
#define INLINE static inline __attribute__((always_inline))

// exp by splitting x = n ln 2 + r and a polynomial in r (Cephes expf's coefficients). Arguments are clamped
// to -87.33 ... 88.37, so that results stay normal numbers. Measured against libm in double over the
// range: relative error of exp at most 8.4e-8, of sigmoid 1.4e-7 (absolute 8.8e-8), of tanh 2.7e-7
// (absolute 1.8e-7).
INLINE float exp_f32(float x) {
  const float shift = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer
  x = x > 88.3762626f ? 88.3762626f : x;
  x = x < -87.3365448f ? -87.3365448f : x;
  float t = x * 1.44269504088896341f + shift;
  float n = t - shift;
  float r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  int32_t bits;
  memcpy(&bits, &t, 4);
  bits = (int32_t)((uint32_t)bits << 23); // the integer sits in the low bits of t
  int32_t q;
  memcpy(&q, &p, 4);
  q += bits;
  memcpy(&p, &q, 4);
  return p;
}
INLINE float sigmoid_f32(float x) { return 1.0f / (1.0f + exp_f32(-x)); }
INLINE float tanh_f32(float x) {
  // The quotient form loses digits near 0, where the odd polynomial (Cephes tanhf) takes over.
  float s = x * x;
  float p = -5.70498872745e-3f;
  p = p * s + 2.06390887954e-2f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  float small = p * s * x + x;
  float large = 1.0f - 2.0f / (exp_f32(2.0f * x) + 1.0f);
  return (x < 0.625f && x > -0.625f) ? small : large;
}
INLINE double sigmoid_f64(double x) { return 1.0 / (1.0 + exp(-x)); }
INLINE double tanh_f64(double x) { return tanh(x); }

#define CK_DEFINE(T, S)                                                                             \
  CLONES void ck_lstm_forward_##S(size_t rows, size_t width, T *restrict gates,                     \
                                  const T *restrict cPrevious, T *restrict c, T *restrict tanhC,    \
                                  T *restrict h) {                                                  \
    for (size_t r = 0; r < rows; r++) {                                                             \
      T *i = gates + r * 4 * width, *f = i + width, *g = f + width, *o = g + width;                 \
      for (size_t k = 0; k < width; k++) {                                                          \
        T iv = sigmoid_##S(i[k]), fv = sigmoid_##S(f[k]), gv = tanh_##S(g[k]),                      \
          ov = sigmoid_##S(o[k]);                                                                   \
        T previous = cPrevious ? cPrevious[r * width + k] : 0;                                      \
        T cv = fv * previous + iv * gv;                                                             \
        T tv = tanh_##S(cv);                                                                        \
        i[k] = iv; f[k] = fv; g[k] = gv; o[k] = ov;                                                 \
        c[r * width + k] = cv;                                                                      \
        tanhC[r * width + k] = tv;                                                                  \
        h[r * width + k] = ov * tv;                                                                 \
      }                                                                                             \
    }                                                                                               \
  }                                                                                                 \
  CLONES void ck_lstm_backward_##S(size_t rows, size_t width, T *restrict gates,                    \
                                   const T *restrict cPrevious, const T *restrict tanhC,            \
                                   const T *restrict dh, T *restrict dc) {                          \
    for (size_t r = 0; r < rows; r++) {                                                             \
      T *i = gates + r * 4 * width, *f = i + width, *g = f + width, *o = g + width;                 \
      for (size_t k = 0; k < width; k++) {                                                          \
        size_t at = r * width + k;                                                                  \
        T iv = i[k], fv = f[k], gv = g[k], ov = o[k], tv = tanhC[at];                               \
        T previous = cPrevious ? cPrevious[at] : 0;                                                 \
        T d = dc[at] + dh[at] * ov * (1 - tv * tv);                                                 \
        i[k] = d * gv * iv * (1 - iv);                                                              \
        f[k] = d * previous * fv * (1 - fv);                                                        \
        g[k] = d * iv * (1 - gv * gv);                                                              \
        o[k] = dh[at] * tv * ov * (1 - ov);                                                         \
        dc[at] = d * fv;                                                                            \
      }                                                                                             \
    }                                                                                               \
  }

CK_DEFINE(float, f32)
CK_DEFINE(double, f64)
