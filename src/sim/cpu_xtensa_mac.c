/* cpu_xtensa_mac.c - MAC16: multiplications of halves into a 40-bit accumulator. */
#include "sim/cpu_xtensa.h"

const struct xt_op xt_mac_ops[] = {{0, 0, NULL, NULL, NULL, 0}};
