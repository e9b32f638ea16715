/* cpu_xtensa_mem.c - loads, stores, literals, the compare-and-store, cache instructions of Xtensa. */
#include "sim/cpu_xtensa.h"

#include <stddef.h>

#define ADDRESS (h->a[i->b] + (uint32_t)i->imm)

#define LOAD(name, width, value)                                                                             \
  XT_OP(name) {                                                                                              \
    uint32_t v;                                                                                              \
    if (xt_load(h, ADDRESS, width, &v))                                                                      \
      h->a[i->c] = (value);                                                                                  \
  }
LOAD(x_l8ui, 1, v)
LOAD(x_l16ui, 2, v)
LOAD(x_l16si, 2, (v ^ 0x8000) - 0x8000)
LOAD(x_l32i, 4, v)

XT_OP(x_s8i) {
  xt_store(h, ADDRESS, 1, h->a[i->c] & 0xFF);
}
XT_OP(x_s16i) {
  xt_store(h, ADDRESS, 2, h->a[i->c] & 0xFFFF);
}
XT_OP(x_s32i) {
  xt_store(h, ADDRESS, 4, h->a[i->c]);
}

/* Literals lie before the instruction, or around LITBASE where the core has it. */
XT_OP(x_l32r) {
  uint32_t v, base = (h->cpu.at + 3) & ~3u;
  if (h->sr[SR_LITBASE] & 1)
    base = h->sr[SR_LITBASE] & 0xFFFFF000;
  if (xt_load(h, base + (uint32_t)i->imm, 4, &v))
    h->a[i->c] = v;
}

XT_OP(x_s32c1i) {
  uint32_t address = ADDRESS, v;
  if (address & 3) {
    xt_access_error(h, address, CPU_BUS_E_ALIGN, true);
    return;
  }
  if (!xt_load(h, address, 4, &v) || (v == h->sr[SR_SCOMPARE1] && !xt_store(h, address, 4, h->a[i->c])))
    return;
  h->a[i->c] = v;
}

/* Caches are not modelled. Code that was written is noticed without being told. */
XT_OP(x_cache) {
  (void)h, (void)i;
}

#define RRI8 0x00F00F
#define CACHE 0x00F0FF
/* clang-format off */
const struct xt_op xt_memory_ops[] = {
    {0x000008, 0x00000F, "l32i.n", "t,s,y", x_l32i, 0},   {0x000009, 0x00000F, "s32i.n", "t,s,y", x_s32i, 0},
    {0x000001, 0x00000F, "l32r", "t,L", x_l32r, 0},       {0x000002, RRI8, "l8ui", "t,s,1", x_l8ui, 0},
    {0x001002, RRI8, "l16ui", "t,s,2", x_l16ui, 0},       {0x002002, RRI8, "l32i", "t,s,4", x_l32i, 0},
    {0x009002, RRI8, "l16si", "t,s,2", x_l16si, 0},       {0x004002, RRI8, "s8i", "t,s,1", x_s8i, 0},
    {0x005002, RRI8, "s16i", "t,s,2", x_s16i, 0},         {0x006002, RRI8, "s32i", "t,s,4", x_s32i, 0},
    {0x00B002, RRI8, "l32ai", "t,s,4", x_l32i, XT_RELEASE}, {0x00F002, RRI8, "s32ri", "t,s,4", x_s32i, XT_RELEASE},
    {0x00E002, RRI8, "s32c1i", "t,s,4", x_s32c1i, XT_S32C1I}, {0x090000, 0xFF000F, "l32e", "t,s,e", x_l32i, XT_WINDOWED},
    {0x490000, 0xFF000F, "s32e", "t,s,e", x_s32i, XT_WINDOWED},
    {0x007002, CACHE, "dpfr", "s,4", x_cache, 0},         {0x007012, CACHE, "dpfw", "s,4", x_cache, 0},
    {0x007022, CACHE, "dpfro", "s,4", x_cache, 0},        {0x007032, CACHE, "dpfwo", "s,4", x_cache, 0},
    {0x007042, CACHE, "dhwb", "s,4", x_cache, 0},         {0x007052, CACHE, "dhwbi", "s,4", x_cache, 0},
    {0x007062, CACHE, "dhi", "s,4", x_cache, 0},          {0x007072, CACHE, "dii", "s,4", x_cache, 0},
    {0x0070C2, CACHE, "ipf", "s,4", x_cache, 0},          {0x0070E2, CACHE, "ihi", "s,4", x_cache, 0},
    {0x0070F2, CACHE, "iii", "s,4", x_cache, 0},          {0, 0, NULL, NULL, NULL, 0}};
