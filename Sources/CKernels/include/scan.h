// Linear recurrences and diagonal nonlinear cells, for time-major sequences.
//
// `type` is CK_FLOAT or CK_DOUBLE; pointers are to that type. See scan.inc and diagonal_cells.inc.
#ifndef CK_SCAN_H
#define CK_SCAN_H

#include <stddef.h>

// What a state is: of `size` k = 1...8 a column of k numbers with k x k matrices, 0 stands for one complex
// number, whose planes are the real and the imaginary part.
enum { CK_SCAN_COMPLEX = 0, CK_SCAN_LARGEST = 8 };

// h_t = A_t h_{t-1} + b_t for each of `channels` channels.
//
// A number of a matrix, of an input or of a state lies in a plane of its own, where the channels are
// adjacent: element (p, channel) of step t is base[t * time + channel] of the plane `plane` bytes after the
// one before. Matrices are row by row. Strides in time may be negative (the other direction) or 0 (the same
// matrix at every step).
struct ck_scan {
  ptrdiff_t steps, channels;
  int size;
  const void *a, *b;
  ptrdiff_t a_time, a_plane, b_time, b_plane;
  // The state before the first step, zero if NULL.
  const void *initial;
  ptrdiff_t initial_plane;
  void *h;
  ptrdiff_t h_time, h_plane;
};

// The gradient g_t = dh_t + A'_{t+1} g_{t+1} of the states, and from it db_t = g_t, dA_t = g_t h'_{t-1}.
struct ck_scan_adjoint {
  // Optional: none where the states themselves have no gradient.
  const void *dh;
  ptrdiff_t dh_time, dh_plane;
  // Bit p is set where plane p has none.
  int dh_skips;
  // A' g of the step after the last; replaced by that of the first, the gradient of the initial state.
  void *carry;
  ptrdiff_t carry_plane;
  // Optional results, written or added to.
  void *da, *db;
  ptrdiff_t da_time, da_plane, db_time, db_plane;
  int da_adds, db_adds;
};

void ck_scan_forward(int type, const struct ck_scan *scan);
// The steps as one, h = M h_before + e: M (k x k planes, complex 2), then e (k planes, complex 2), contiguous.
void ck_scan_carry(int type, const struct ck_scan *scan, void *carry);
void ck_scan_backward(int type, const struct ck_scan *scan, const struct ck_scan_adjoint *adjoint);
// The same of the adjoint: the carry before the first step = M (carry after the last) + e.
void ck_scan_adjoint_carry(int type, const struct ck_scan *scan, const struct ck_scan_adjoint *adjoint,
                           void *carry);

// Cells whose recurrent weights are diagonal, so that each unit sees only itself (ParaRNN).
//   PARAGRU   gates z r n, state h
//   PARALSTM  gates f o g, state h c
enum { CK_PARAGRU = 0, CK_PARALSTM = 1 };

struct ck_diagonal {
  int kind;
  ptrdiff_t steps, rows, width;
  // The part that is computed: rows and units from the first on.
  ptrdiff_t first_row, row_count, first_unit, unit_count;
  // Weighted inputs with biases [steps][rows][3 width], recurrent weights [3][width], peepholes [2][width]
  // of f and o (LSTM).
  const void *u, *recurrent, *peephole;
  // States before the first step [rows][width], zero if NULL.
  const void *h0, *c0;
  // States [steps][rows][width]. `linearise` reads them, those beyond `bound` as if they were there: the
  // states of the solution lie within, those of an iteration need not.
  void *h, *c;
  double bound;
  // Optional [steps][3 (GRU), 4 (LSTM, with tanh c)][rows * width]: what the backward pass needs.
  void *gates;
};

// Step after step.
void ck_diagonal_forward(int type, const struct ck_diagonal *cell);
// Around the states h, c: the linear recurrence that one iteration of Newton's method solves, J
// [steps][1 (GRU), 4 (LSTM: hh hc ch cc)][rows * width] and b [steps][1, 2][rows * width].
// Returns the largest difference between a state and what the cell makes of the one before; NaN counts.
double ck_diagonal_linearise(int type, const struct ck_diagonal *cell, void *jacobian, void *b);

struct ck_diagonal_adjoint {
  // Gradients of the states, optional.
  const void *dh, *dc;
  // Gradients that reach the last state from later steps, replaced by those of the state before the first;
  // dc of the LSTM only.
  void *carry_h, *carry_c;
  // [steps][rows][3 width], written or added to.
  void *du;
  int adds;
  // Added to.
  void *recurrent, *peephole;
};
void ck_diagonal_backward(int type, const struct ck_diagonal *cell, const struct ck_diagonal_adjoint *adjoint);

#endif
