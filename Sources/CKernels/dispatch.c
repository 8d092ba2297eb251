// Chooses the level once and forwards to its table.
#include "dispatch.h"

#include <stdlib.h>
#include <string.h>

// Until the constructor has run, and for good on other processors, the portable level serves.
static const struct ck_table *table = &ck_table_portable;

// The table of a level, or NULL when the processor does not support it or the name is unknown.
static const struct ck_table *named(const char *level) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && avx2;
  if (avx512 && strcmp(level, "avx512") == 0) { return &ck_table_avx512; }
  if (avx2 && strcmp(level, "avx2") == 0) { return &ck_table_avx2; }
#endif
  return strcmp(level, "portable") == 0 ? &ck_table_portable : NULL;
}

static int choose_named(const char *level) {
  const struct ck_table *candidate = level != NULL ? named(level) : NULL;
  if (candidate != NULL) { table = candidate; }
  return candidate != NULL;
}

__attribute__((constructor)) static void choose(void) {
  (void)(choose_named(getenv("FORECAST_VECTOR_LEVEL")) || choose_named("avx512") ||
         choose_named("avx2"));
}

const struct ck_table *ck_chosen_table(void) { return table; }

const char *ck_vector_level(void) { return table->level; }

// The pointers are void to the caller and typed to the kernel; scalars come as double.

void ck_unary(int type, int function, size_t n, const void *in, void *out) {
  CALL(unary, function, n, in, out);
}

void ck_unary_gradient(int type, int function, size_t n, const void *x, const void *y, const void *dy,
                       void *dx, int adds) {
  CALL(unary_gradient, function, n, x, y, dy, dx, adds);
}

void ck_binary(int type, int function, size_t n, const void *a, size_t a_step, const void *b,
               size_t b_step, void *out) {
  CALL(binary, function, n, a, a_step, b, b_step, out);
}

void ck_binary_gradient(int type, int function, int side, size_t n, const void *a, size_t a_step,
                        const void *b, size_t b_step, const void *dy, void *to) {
  CALL(binary_gradient, function, side, n, a, a_step, b, b_step, dy, to);
}

void ck_scale(int type, size_t n, double scale, const void *in, void *out, int adds) {
  CALL(scale, n, scale, in, out, adds);
}

void ck_fill(int type, size_t n, double value, void *out, int adds) { CALL(fill, n, value, out, adds); }

void ck_shift(int type, size_t n, double shift, void *inout) { CALL(shift, n, shift, inout); }

void ck_add(int type, size_t n, const void *in, void *inout) { CALL(add, n, in, inout); }

void ck_broadcast(int type, size_t rows, size_t width, const void *row, void *out) {
  CALL(broadcast, rows, width, row, out);
}

void ck_column_sums(int type, size_t rows, size_t width, const void *in, void *out) {
  CALL(column_sums, rows, width, in, out);
}

void ck_row_sums(int type, size_t rows, size_t width, double scale, const void *in, void *out) {
  CALL(row_sums, rows, width, scale, in, out);
}

void ck_multiply_add(int type, size_t rows, size_t width, const void *x, const void *w, void *y) {
  CALL(multiply_add, rows, width, x, w, y);
}

void ck_multiply_sum(int type, size_t rows, size_t width, const void *x, const void *y, void *w) {
  CALL(multiply_sum, rows, width, x, y, w);
}

void ck_logsumexp(int type, size_t rows, size_t width, const void *in, void *out) {
  CALL(logsumexp, rows, width, in, out);
}

void ck_softmax(int type, size_t rows, size_t width, const void *in, void *out) {
  CALL(softmax, rows, width, in, out);
}

void ck_normalise(int type, size_t rows, size_t width, size_t groups, int centred, double epsilon,
                  const void *x, const void *gain, void *y, void *statistics) {
  CALL(normalise, rows, width, groups, centred, epsilon, x, gain, y, statistics);
}

void ck_normalise_gradient(int type, size_t rows, size_t width, size_t groups, int centred,
                           const void *x, const void *gain, const void *statistics, const void *dy, void *dx, int adds,
                           void *dgain) {
  CALL(normalise_gradient, rows, width, groups, centred, x, gain, statistics, dy, dx, adds, dgain);
}

void ck_few_rows(int type, size_t rows, size_t inner, size_t columns, const void *x, const void *w, void *y,
                 int adds) {
  CALL(few_rows, rows, inner, columns, x, w, y, adds);
}

ptrdiff_t ck_sum_products_scratch(int type, ptrdiff_t steps, ptrdiff_t height, ptrdiff_t width) {
  return COUNT(sum_products_scratch, steps, height, width);
}

void ck_sum_products(int type, ptrdiff_t steps, ptrdiff_t height, ptrdiff_t width, const void *a, ptrdiff_t a_step,
                     const void *b, ptrdiff_t b_step, void *c, void *sums, void *scratch) {
  CALL(sum_products, steps, height, width, a, a_step, b, b_step, c, sums, scratch);
}

void ck_add_rounded(int type, size_t n, double scale, const void *in, int64_t *inout) {
  CALL(add_rounded, n, scale, in, inout);
}

double ck_sum_of_squares(int type, size_t n, const void *in) {
  return type == CK_DOUBLE ? table->f64.sum_of_squares(n, in) : table->f32.sum_of_squares(n, in);
}

void ck_optimise(int type, const struct ck_optimiser *optimiser, size_t n, void *parameters,
                 const void *gradient, void *first, void *second) {
  CALL(optimise, optimiser, n, parameters, gradient, first, second);
}

double ck_clip(int type, size_t n, double limit, void *inout) {
  return type == CK_DOUBLE ? table->f64.clip(n, limit, inout) : table->f32.clip(n, limit, inout);
}

void ck_noise(int type, size_t n, double scale, double deviation, uint64_t key, uint64_t lane,
              void *inout) {
  CALL(noise, n, scale, deviation, key, lane, inout);
}

void ck_chacha20(const uint32_t *key, const uint32_t *nonce, uint32_t counter, size_t groups,
                 uint32_t *out) {
  table->chacha20(key, nonce, counter, groups, out);
}

ptrdiff_t ck_padded(int type, ptrdiff_t width) {
  return type == CK_DOUBLE ? table->f64.padded(width) : table->f32.padded(width);
}

ptrdiff_t ck_packed(int type, const struct ck_cell *cell) {
  return type == CK_DOUBLE ? table->f64.packed(cell) : table->f32.packed(cell);
}

ptrdiff_t ck_tape(int type, const struct ck_cell *cell, ptrdiff_t steps, ptrdiff_t rows) {
  return type == CK_DOUBLE ? table->f64.tape(cell, steps, rows) : table->f32.tape(cell, steps, rows);
}

ptrdiff_t ck_adjoint_scratch(int type, const struct ck_cell *cell, ptrdiff_t rows) {
  return type == CK_DOUBLE ? table->f64.scratch(cell, rows) : table->f32.scratch(cell, rows);
}

// The same structures with typed pointers.
#define PASS(p) \
  {.steps = (p)->steps, .rows = (p)->rows, .x = (p)->x, .x_time = (p)->x_time, .x_row = (p)->x_row, \
   .mask = (p)->mask, .mask_time = (p)->mask_time, .h0 = (p)->h0, .c0 = (p)->c0, .cn = (p)->cn, \
   .state_row = (p)->state_row, .state_memory = (p)->state_memory, .h = (p)->h, .h_time = (p)->h_time, .h_row = (p)->h_row, \
   .tape = (p)->tape, .keep = (p)->keep}
#define ADJOINT(a) \
  {.dh = (a)->dh, .dh_time = (a)->dh_time, .dh_row = (a)->dh_row, .dhn = (a)->dhn, .dcn = (a)->dcn, \
   .dh0 = (a)->dh0, .dc0 = (a)->dc0, .dx = (a)->dx, .dx_time = (a)->dx_time, .dx_row = (a)->dx_row, \
   .gradients = {(a)->gradients.w, (a)->gradients.r, (a)->gradients.bias, (a)->gradients.bias_n}, \
   .scratch = (a)->scratch}

void ck_pack(int type, const struct ck_cell *cell, const struct ck_weights *weights, void *packed) {
  if (type == CK_DOUBLE) {
    struct rc_parameters_f64 typed = {weights->w, weights->r, weights->bias, weights->bias_n};
    table->f64.pack(cell, &typed, packed);
  } else {
    struct rc_parameters_f32 typed = {weights->w, weights->r, weights->bias, weights->bias_n};
    table->f32.pack(cell, &typed, packed);
  }
}

void ck_forward(int type, const struct ck_cell *cell, const void *packed, const struct ck_pass *pass) {
  if (type == CK_DOUBLE) {
    struct rc_pass_f64 typed = PASS(pass);
    table->f64.forward(cell, packed, &typed);
  } else {
    struct rc_pass_f32 typed = PASS(pass);
    table->f32.forward(cell, packed, &typed);
  }
}

void ck_backward(int type, const struct ck_cell *cell, const void *packed, const struct ck_pass *pass,
                 const struct ck_adjoint *adjoint) {
  if (type == CK_DOUBLE) {
    struct rc_pass_f64 typed = PASS(pass);
    struct rc_backward_f64 back = ADJOINT(adjoint);
    table->f64.backward(cell, packed, &typed, &back);
  } else {
    struct rc_pass_f32 typed = PASS(pass);
    struct rc_backward_f32 back = ADJOINT(adjoint);
    table->f32.backward(cell, packed, &typed, &back);
  }
}

ptrdiff_t ck_unit_scratch(int type, const struct ck_cell *cell, ptrdiff_t steps) {
  return type == CK_DOUBLE ? table->f64.unit_scratch(cell, steps) : table->f32.unit_scratch(cell, steps);
}

void ck_unit_gradients(int type, const struct ck_cell *cell, const struct ck_pass *pass, ptrdiff_t first,
                       ptrdiff_t rows, const struct ck_weight_gradients *gradients, void *scratch) {
  if (type == CK_DOUBLE) {
    struct rc_pass_f64 typed = PASS(pass);
    struct rc_gradients_f64 to = {gradients->w, gradients->r, gradients->bias, gradients->bias_n};
    table->f64.unit_gradients(cell, &typed, first, rows, &to, scratch);
  } else {
    struct rc_pass_f32 typed = PASS(pass);
    struct rc_gradients_f32 to = {gradients->w, gradients->r, gradients->bias, gradients->bias_n};
    table->f32.unit_gradients(cell, &typed, first, rows, &to, scratch);
  }
}

double ck_peak(int type, ptrdiff_t repeats, void *work) {
  return type == CK_DOUBLE ? table->f64.peak(repeats, work) : table->f32.peak(repeats, work);
}
