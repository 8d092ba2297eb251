// OpenBLAS picked for the processor at hand.
#include "include/ckernels.h"
#include <cblas.h>
#undef I
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
extern void gotoblas_dynamic_quit(void) __attribute__((weak));
extern void gotoblas_dynamic_init(void) __attribute__((weak));
#endif

void ck_blas_prepare(void) {
#if defined(__x86_64__)
  // OpenBLAS 0.3.21 takes recent processors that it does not know for a Prescott (SSE3).
  if (!getenv("OPENBLAS_CORETYPE") && gotoblas_dynamic_init && gotoblas_dynamic_quit &&
      !strcmp(openblas_get_corename(), "Prescott")) {
    __builtin_cpu_init();
    const char *core = __builtin_cpu_supports("avx512bw") ? "SKYLAKEX"
                       : __builtin_cpu_supports("avx2")   ? "HASWELL"
                                                          : NULL;
    if (core) {
      setenv("OPENBLAS_CORETYPE", core, 1);
      gotoblas_dynamic_quit();
      gotoblas_dynamic_init();
    }
  }
#endif
  openblas_set_num_threads(1);
}

const char *ck_blas_core_name(void) { return openblas_get_corename(); }

unsigned ck_flush_to_zero(void) {
#if defined(__x86_64__)
  unsigned mode = _mm_getcsr();
  _mm_setcsr(mode | 0x8040);
  return mode;
#else
  return 0;
#endif
}

void ck_restore_mode(unsigned mode) {
#if defined(__x86_64__)
  _mm_setcsr(mode);
#endif
}
