// Kernels of state-space duality (Mamba-2, Hydra); the rules of ckernels.h apply.
#ifndef CKERNELS_SSD_H
#define CKERNELS_SSD_H

#include <stddef.h>

// Chunkwise: products within a chunk, a state [states][width] for each head between chunks; ssd.inc has the
// equations. Time-major:
//   x      [steps][batch][row]: x [heads][width] from 0 on, B [groups][states] from `b`, C from `c`
//   delta  [steps][batch][delta_row]: the positive steps dt of the heads first
//   a      [heads] with A = -exp(a); skip [heads]
//   y      [steps][batch][heads][width]
//   states [batch][heads][states][width]
struct ck_ssd {
  ptrdiff_t steps, batch, heads, width, groups, states;
  ptrdiff_t row, b, c, delta_row;
  // Steps of a chunk.
  ptrdiff_t chunk;
  // Walk from the last step to the first.
  int reverse;
};

ptrdiff_t ck_ssd_tape(int type, const struct ck_ssd *s);
/// Elements of scratch memory, aligned to 64 bytes.
ptrdiff_t ck_ssd_scratch(int type, const struct ck_ssd *s);
// skip, initial and last may be NULL.
void ck_ssd_forward(int type, const struct ck_ssd *s, const void *x, const void *delta, const void *a,
                    const void *skip, const void *initial, void *y, void *last, void *tape, void *scratch);
// All gradients but dinitial are added to what is there; dy, dlast, da, dskip and dinitial may be NULL.
void ck_ssd_backward(int type, const struct ck_ssd *s, const void *x, const void *delta, const void *a,
                     const void *skip, const void *tape, const void *dy, const void *dlast, void *dx,
                     void *ddelta, void *da, void *dskip, void *dinitial, void *scratch);
// One step, in the recurrent form; `steps`, `chunk` and `reverse` do not matter. The state is updated.
void ck_ssd_step(int type, const struct ck_ssd *s, const void *x, const void *delta, const void *a,
                 const void *skip, void *state, void *y);

#endif
