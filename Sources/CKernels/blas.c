// OpenBLAS picked for the processor at hand.
#include "include/ckernels.h"
#include <cblas.h>
#undef I
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
extern void gotoblas_dynamic_quit(void) __attribute__((weak));
extern void gotoblas_dynamic_init(void) __attribute__((weak));
#endif

const char *ck_blas_better_core(const char *core, int has_avx512, int has_avx2) {
  static const char *const wide[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
  for (size_t k = 0; k < sizeof wide / sizeof *wide; k++) {
    if (!strcmp(core, wide[k])) { return NULL; }
  }
  if (has_avx512) { return "SKYLAKEX"; }
  static const char *const narrow[] = {"Prescott", "Core2", "Penryn", "Nehalem", "Generic"};
  for (size_t k = 0; k < sizeof narrow / sizeof *narrow; k++) {
    if (has_avx2 && !strcmp(core, narrow[k])) { return "HASWELL"; }
  }
  return NULL;
}

const char *ck_blas_missed_core(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  int has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  int has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return ck_blas_better_core(openblas_get_corename(), has_avx512, has_avx2);
#else
  return NULL;
#endif
}

static void prepare(void) {
#if defined(__x86_64__)
  // OpenBLAS chooses by a list of processors. 0.3.21 takes Intel's of 2023 and later for a Prescott (SSE3),
  // and AMD's with AVX-512 for a Haswell, which halves their speed.
  const char *core = ck_blas_missed_core();
  const char *forced = getenv("OPENBLAS_CORETYPE");
  if (core && !(forced && *forced) && gotoblas_dynamic_init && gotoblas_dynamic_quit) {
    setenv("OPENBLAS_CORETYPE", core, 1);
    gotoblas_dynamic_quit();
    gotoblas_dynamic_init();
  }
#endif
  openblas_set_num_threads(1);
}

void ck_blas_prepare(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, prepare);
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
