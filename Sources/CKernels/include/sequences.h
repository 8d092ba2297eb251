// Kernels of long convolutions and of linear state-space layers; the rules of ckernels.h apply.
//
// Sequences are time-major, [steps][batch][width]. Vector lanes run over the width, so independent channels
// are computed side by side and nothing is shuffled. Calls work on the calling thread and allocate nothing.
#ifndef CKERNELS_SEQUENCES_H
#define CKERNELS_SEQUENCES_H

#include <stddef.h>
#include <stdint.h>

// Causal convolution of every channel with a kernel of its own:
// y[t] = sum over k of kernel[k] x[t - k].
struct ck_long_convolution {
  ptrdiff_t steps, batch, width;
  // Rows of the kernel, [taps][width]; at most `steps` of them matter.
  ptrdiff_t taps;
  // Length of the transform, at least `steps`: 2^k >= 16 or 3 * 2^k >= 12; 0 for the sum itself.
  ptrdiff_t size;
};

/// Elements of the table of a transform of this length.
ptrdiff_t ck_fourier_table(ptrdiff_t size);
/// Fills the table; needed once for each length.
void ck_fourier_prepare(int type, ptrdiff_t size, void *table);
/// Elements of scratch memory, aligned to 64 bytes.
ptrdiff_t ck_long_scratch(int type, const struct ck_long_convolution *shape);
void ck_long_forward(int type, const struct ck_long_convolution *shape, const void *table, const void *x,
                     const void *kernel, void *y, void *scratch);
// Gradients; dx and dkernel may be NULL. dx is added to if `adds`, dkernel always.
void ck_long_backward(int type, const struct ck_long_convolution *shape, const void *table, const void *x,
                      const void *kernel, const void *dy, void *dx, int adds, void *dkernel, void *scratch);

#endif
