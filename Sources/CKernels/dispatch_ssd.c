// Forwards the functions of ssd.h to the table of the level; see dispatch.c.
#include "dispatch.h"

ptrdiff_t ck_ssd_tape(int type, const struct ck_ssd *s) { return COUNT(ssd_tape, s); }

ptrdiff_t ck_ssd_scratch(int type, const struct ck_ssd *s) { return COUNT(ssd_scratch, s); }

void ck_ssd_forward(int type, const struct ck_ssd *s, const void *x, const void *delta, const void *a,
                    const void *skip, const void *initial, void *y, void *last, void *tape, void *scratch) {
  CALL(ssd_forward, s, x, delta, a, skip, initial, y, last, tape, scratch);
}

void ck_ssd_backward(int type, const struct ck_ssd *s, const void *x, const void *delta, const void *a,
                     const void *skip, const void *tape, const void *dy, const void *dlast, void *dx,
                     void *ddelta, void *da, void *dskip, void *dinitial, void *scratch) {
  CALL(ssd_backward, s, x, delta, a, skip, tape, dy, dlast, dx, ddelta, da, dskip, dinitial, scratch);
}

void ck_ssd_step(int type, const struct ck_ssd *s, const void *x, const void *delta, const void *a,
                 const void *skip, void *state, void *y) {
  CALL(ssd_step, s, x, delta, a, skip, state, y);
}
