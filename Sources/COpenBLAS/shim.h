#include <cblas.h>
#undef I
