// Kernels of the delta rule; the rules of ckernels.h apply.
#ifndef CKERNELS_DELTA_H
#define CKERNELS_DELTA_H

#include <stddef.h>
#include <stdint.h>

// The delta rule (Yang et al. 2024, arXiv 2406.06484), with `factors` updates in each step (DeltaProduct) and
// optional decay (gated DeltaNet). For each head, with k and q divided by sqrt(|.|^2 + epsilon),
//   S <- exp(decay) S, once in a step; then for each factor S <- S + beta k (v - k^T S); y = q^T S.
// Time-major and dense:
//   qkv    [steps][batch][heads * keys + factors * heads * (keys + values)]
//          q [heads][keys], then k [factors][heads][keys], then v [factors][heads][values]
//   beta   [steps][batch][factors][heads]
//   decay  [steps][batch][heads]            logarithms, not positive
//   y      [steps][batch][heads][values]
//   S      [batch][heads][keys][values]
struct ck_delta {
  ptrdiff_t steps, batch, heads, keys, values, factors;
  // Steps of a chunk: backward is chunkwise, from the states at their borders.
  ptrdiff_t chunk;
  // Forward step by step rather than chunkwise.
  int recurrent;
  // Whether there is a decay.
  int gated;
  double epsilon;
};

/// Elements that forward leaves for backward.
ptrdiff_t ck_delta_tape(int type, const struct ck_delta *s);
/// Elements of scratch memory, aligned to 64 bytes.
ptrdiff_t ck_delta_scratch(int type, const struct ck_delta *s);
// decay is not read without `gated`. Initial and last may be NULL: zero, not wanted.
void ck_delta_forward(int type, const struct ck_delta *s, const void *qkv, const void *beta, const void *decay,
                      const void *initial, void *y, void *last, void *tape, void *scratch);

struct ck_delta_gradient {
  // May be NULL: zero.
  const void *dy, *dlast;
  // Overwritten or, if `adds`, added to; ddecay only with `gated`.
  void *dqkv, *dbeta, *ddecay;
  int adds_qkv, adds_beta, adds_decay;
  // Overwritten; may be NULL.
  void *dinitial;
};
// y is read with `gated` only. The initial state is on the tape; `initial` says whether there was one.
void ck_delta_backward(int type, const struct ck_delta *s, const void *qkv, const void *beta, const void *decay,
                       int initial, const void *y, const void *tape, const struct ck_delta_gradient *gradient,
                       void *scratch);
// One step in the recurrent form. The state is updated in place.
void ck_delta_step(int type, const struct ck_delta *s, const void *qkv, const void *beta, const void *decay,
                   void *state, void *y);

#endif
