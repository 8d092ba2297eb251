// How a function of the headers reaches the table of the level: by the type of its numbers. Internal.
#pragma once

#include "table.h"

#define CALL(KERNEL, ...) \
  do { \
    const struct ck_table *chosen = ck_chosen_table(); \
    if (type == CK_DOUBLE) { chosen->f64.KERNEL(__VA_ARGS__); } else { chosen->f32.KERNEL(__VA_ARGS__); } \
  } while (0)
// The same for functions that return a number.
#define COUNT(KERNEL, ...) \
  (type == CK_DOUBLE ? ck_chosen_table()->f64.KERNEL(__VA_ARGS__) : ck_chosen_table()->f32.KERNEL(__VA_ARGS__))
