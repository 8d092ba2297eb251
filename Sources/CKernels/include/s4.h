// Kernels of state spaces with a matrix that is normal plus low rank; the rules of ckernels.h apply.
#ifndef CKERNELS_S4_H
#define CKERNELS_S4_H

#include <stddef.h>

// s4.inc has the equations. `size`: taps of the kernel that the transform gives, even.
struct ck_s4 {
  ptrdiff_t size, width, modes;
};

// log dt [width]; log(-Re lambda) and Im lambda [width][modes]; P, B, C [width][modes][2], real and imaginary part.
struct ck_s4_pointers {
  const void *log_dt, *log_re, *im, *p, *b, *c;
};

/// Elements of scratch memory, aligned to 64 bytes.
ptrdiff_t ck_s4_scratch(int type, const struct ck_s4 *s);
// re, im: [size / 2 + 1][width]; C is C (1 - A_bar^size).
void ck_s4_spectrum(int type, const struct ck_s4 *s, const struct ck_s4_pointers *weights, void *re, void *im,
                    void *scratch);
// dre, dim may be NULL. The gradients of the weights, all of them, are added to what `gradients` points to.
void ck_s4_gradient(int type, const struct ck_s4 *s, const struct ck_s4_pointers *weights, const void *dre,
                    const void *dim, const struct ck_s4_pointers *gradients, void *scratch);
/// constants: 3 + 10 modes rows of ck_padded(width) elements.
void ck_s4_pack(int type, const struct ck_s4 *s, const struct ck_s4_pointers *weights, void *constants);
// x, y: [batch][width]; state [batch][modes][2][ck_padded(width)], which is updated. skip may be NULL.
void ck_s4_step(int type, const struct ck_s4 *s, const void *constants, const void *skip, ptrdiff_t batch,
                const void *x, void *state, void *y);

#endif
