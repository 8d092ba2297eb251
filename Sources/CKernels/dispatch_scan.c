// Forwards the functions of scan.h to the table of the level; see dispatch.c.
#include "dispatch.h"

void ck_scan_forward(int type, const struct ck_scan *scan) { CALL(scan_forward, scan); }

void ck_scan_carry(int type, const struct ck_scan *scan, void *carry) { CALL(scan_carry, scan, carry); }

void ck_scan_backward(int type, const struct ck_scan *scan, const struct ck_scan_adjoint *adjoint) {
  CALL(scan_backward, scan, adjoint);
}

void ck_scan_adjoint_carry(int type, const struct ck_scan *scan, const struct ck_scan_adjoint *adjoint,
                           void *carry) {
  CALL(scan_adjoint_carry, scan, adjoint, carry);
}

void ck_diagonal_forward(int type, const struct ck_diagonal *cell) { CALL(diagonal_forward, cell); }

double ck_diagonal_linearise(int type, const struct ck_diagonal *cell, void *jacobian, void *b) {
  const struct ck_table *chosen = ck_chosen_table();
  return type == CK_DOUBLE ? chosen->f64.diagonal_linearise(cell, jacobian, b)
                           : chosen->f32.diagonal_linearise(cell, jacobian, b);
}

void ck_diagonal_backward(int type, const struct ck_diagonal *cell,
                          const struct ck_diagonal_adjoint *adjoint) {
  CALL(diagonal_backward, cell, adjoint);
}
