// Kernels of the mLSTM and of products by blocks; the rules of ckernels.h apply.
#ifndef CKERNELS_XLSTM_H
#define CKERNELS_XLSTM_H

#include <stddef.h>
#include <stdint.h>

// The mLSTM (Beck et al. 2024, equations 19 to 27), chunkwise: quadratic within a chunk, a matrix C [key][value],
// a vector n and a number m for each head between chunks. Time-major and dense:
//   qkv    [steps][batch][3][heads][width]
//   gates  [steps][batch][2][heads]           input gate, forget gate, before exp and sigmoid
//   h      [steps][batch][heads][width]
//   C [batch][heads][width][width], n [batch][heads][width], m [batch][heads]
struct ck_mlstm {
  ptrdiff_t steps, batch, heads, width;
  // Steps of a chunk; `steps` or more for the parallel form.
  ptrdiff_t chunk;
  // Added to the denominator.
  double epsilon;
};

// A state, or its gradient.
struct ck_mlstm_state {
  void *c, *n, *m;
};

ptrdiff_t ck_mlstm_tape(int type, const struct ck_mlstm *s);
/// Elements of scratch memory, aligned to 64 bytes.
ptrdiff_t ck_mlstm_scratch(int type, const struct ck_mlstm *s);
// Initial and last may be NULL: zero, not wanted.
void ck_mlstm_forward(int type, const struct ck_mlstm *s, const void *qkv, const void *gates,
                      const struct ck_mlstm_state *initial, void *h, const struct ck_mlstm_state *last,
                      void *tape, void *scratch);
// Gradients; dh, dlast and dinitial and any of their members may be NULL. dqkv and dgates are overwritten or,
// if `adds`, added to; dinitial is overwritten. Members of h are results of forward.
void ck_mlstm_backward(int type, const struct ck_mlstm *s, const void *qkv, const void *gates, const void *h,
                       const void *dh, const struct ck_mlstm_state *dlast, const void *tape, void *dqkv,
                       int adds_qkv, void *dgates, int adds_gates, const struct ck_mlstm_state *dinitial,
                       void *scratch);
// One step in the recurrent form; `steps` and `chunk` do not matter. The state is updated in place.
void ck_mlstm_step(int type, const struct ck_mlstm *s, const void *qkv, const void *gates,
                   const struct ck_mlstm_state *state, void *h);

// Products with block-diagonal matrices: `parts` of them side by side, of `heads` blocks.
//   x      of each part, [rows][heads][inputs]
//   w      [parts][heads][inputs][outputs]
//   y      [rows][parts][heads][outputs]
struct ck_blocks {
  ptrdiff_t rows, parts, heads, inputs, outputs;
};

/// Elements of scratch memory, aligned to 64 bytes.
ptrdiff_t ck_blocks_scratch(int type, const struct ck_blocks *s);
void ck_blocks_forward(int type, const struct ck_blocks *s, const void *const *x, const void *w, void *y,
                       void *scratch);
// Gradients: dx of each part, overwritten or, where adds is not 0, added to; any may be NULL. dw is added to,
// and may be NULL.
void ck_blocks_backward(int type, const struct ck_blocks *s, const void *const *x, const void *w,
                        const void *dy, void *const *dx, const int *adds, void *dw, void *scratch);

// Products with a matrix [inputs][outputs] that is packed once and then read often: for layers that are run and
// not trained.
enum {
  CK_PRODUCT_PLAIN, // x w + bias
  CK_PRODUCT_RELU,  // max(0, x w + bias)
  CK_PRODUCT_GATED  // silu(x gate) * (x w), without bias
};

struct ck_product {
  ptrdiff_t inputs, outputs;
  int form;
};

/// Elements that the packed matrix takes, aligned to 64 bytes.
ptrdiff_t ck_product_packed(int type, const struct ck_product *s);
// The bias may be NULL; the gate is read by the gated form only.
void ck_product_pack(int type, const struct ck_product *s, const void *w, const void *gate, const void *bias,
                     void *packed);
// y (+)= the form's result for rows of x that lie x_row elements apart, those of y y_row.
void ck_product_apply(int type, const struct ck_product *s, ptrdiff_t rows, const void *x, ptrdiff_t x_row,
                      const void *packed, void *y, ptrdiff_t y_row, int adds);

#endif
