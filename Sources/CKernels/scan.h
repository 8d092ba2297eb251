// The kernels of include/scan.h in the table of a level. Internal.
#pragma once

#include "include/scan.h"

// Result, name, parameters; REAL is float or double.
#define CK_EACH_SCAN_KERNEL(X, REAL) \
  X(REAL, void, scan_forward, (const struct ck_scan *)) \
  X(REAL, void, scan_carry, (const struct ck_scan *, REAL *)) \
  X(REAL, void, scan_backward, (const struct ck_scan *, const struct ck_scan_adjoint *)) \
  X(REAL, void, scan_adjoint_carry, \
    (const struct ck_scan *, const struct ck_scan_adjoint *, REAL *)) \
  X(REAL, void, diagonal_forward, (const struct ck_diagonal *)) \
  X(REAL, double, diagonal_linearise, (const struct ck_diagonal *, REAL *, REAL *)) \
  X(REAL, void, diagonal_backward, \
    (const struct ck_diagonal *, const struct ck_diagonal_adjoint *))
