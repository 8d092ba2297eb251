// Forwards the functions of kalman.h to the table of the level; see dispatch.c.
#include "dispatch.h"

void ck_kalman_congruence(int type, ptrdiff_t n, const void *bands, const void *p, const void *variances,
                          void *product, void *out) {
  CALL(kalman_congruence, n, bands, p, variances, product, out);
}

double ck_kalman_update(int type, ptrdiff_t n, const void *z, double noise, const void *predicted, void *gain,
                        void *p, void *scratch) {
  return COUNT(kalman_update, n, z, noise, predicted, gain, p, scratch);
}

double ck_kalman_information(int type, ptrdiff_t n, const void *z, double spread, const void *gain,
                             const void *before, void *information, void *scratch) {
  return COUNT(kalman_information, n, z, spread, gain, before, information, scratch);
}

void ck_kalman_response(int type, ptrdiff_t n, const void *z, double spread, const void *gain, void *response,
                        void *information, void *scratch) {
  CALL(kalman_response, n, z, spread, gain, response, information, scratch);
}
