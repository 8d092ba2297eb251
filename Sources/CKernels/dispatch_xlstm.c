// Forwards the functions of xlstm.h to the table of the level; see dispatch.c.
#include "dispatch.h"

ptrdiff_t ck_mlstm_tape(int type, const struct ck_mlstm *s) { return COUNT(mlstm_tape, s); }

ptrdiff_t ck_mlstm_scratch(int type, const struct ck_mlstm *s) { return COUNT(mlstm_scratch, s); }

void ck_mlstm_forward(int type, const struct ck_mlstm *s, const void *qkv, const void *gates,
                      const struct ck_mlstm_state *initial, void *h, const struct ck_mlstm_state *last,
                      void *tape, void *scratch) {
  CALL(mlstm_forward, s, qkv, gates, initial, h, last, tape, scratch);
}

void ck_mlstm_backward(int type, const struct ck_mlstm *s, const void *qkv, const void *gates, const void *h,
                       const void *dh, const struct ck_mlstm_state *dlast, const void *tape, void *dqkv,
                       int adds_qkv, void *dgates, int adds_gates, const struct ck_mlstm_state *dinitial,
                       void *scratch) {
  CALL(mlstm_backward, s, qkv, gates, h, dh, dlast, tape, dqkv, adds_qkv, dgates, adds_gates, dinitial,
       scratch);
}

void ck_mlstm_step(int type, const struct ck_mlstm *s, const void *qkv, const void *gates,
                   const struct ck_mlstm_state *state, void *h) {
  CALL(mlstm_step, s, qkv, gates, state, h);
}

ptrdiff_t ck_blocks_scratch(int type, const struct ck_blocks *s) { return COUNT(blocks_scratch, s); }

void ck_blocks_forward(int type, const struct ck_blocks *s, const void *const *x, const void *w, void *y,
                       void *scratch) {
  CALL(blocks_forward, s, x, w, y, scratch);
}

void ck_blocks_backward(int type, const struct ck_blocks *s, const void *const *x, const void *w,
                        const void *dy, void *const *dx, const int *adds, void *dw, void *scratch) {
  CALL(blocks_backward, s, x, w, dy, dx, adds, dw, scratch);
}

ptrdiff_t ck_product_packed(int type, const struct ck_product *s) { return COUNT(packed_count, s); }

void ck_product_pack(int type, const struct ck_product *s, const void *w, const void *gate, const void *bias,
                     void *packed) {
  CALL(packed_pack, s, w, gate, bias, packed);
}

void ck_product_apply(int type, const struct ck_product *s, ptrdiff_t rows, const void *x, ptrdiff_t x_row,
                      const void *packed, void *y, ptrdiff_t y_row, int adds) {
  CALL(packed_product, s, rows, x, x_row, packed, y, y_row, adds);
}
