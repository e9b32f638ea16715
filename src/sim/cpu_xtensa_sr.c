/* cpu_xtensa_sr.c - special registers of Xtensa. */
#include "sim/cpu_xtensa.h"

static const struct {
  uint8_t number;
  const char *name;
  unsigned needs;
} names[] = {
    {SR_LBEG, "lbeg", XT_LOOPS},
    {SR_LEND, "lend", XT_LOOPS},
    {SR_LCOUNT, "lcount", XT_LOOPS},
    {SR_SAR, "sar", 0},
    {SR_BR, "br", XT_BOOLEAN},
    {SR_LITBASE, "litbase", XT_LITBASE},
    {SR_SCOMPARE1, "scompare1", XT_S32C1I},
    {SR_ACCLO, "acclo", XT_MAC16},
    {SR_ACCHI, "acchi", XT_MAC16},
    {SR_M0, "m0", XT_MAC16},
    {SR_M0 + 1, "m1", XT_MAC16},
    {SR_M0 + 2, "m2", XT_MAC16},
    {SR_M0 + 3, "m3", XT_MAC16},
    {SR_WINDOWBASE, "windowbase", XT_WINDOWED},
    {SR_WINDOWSTART, "windowstart", XT_WINDOWED},
    {89, "mmid", XT_WINDOWED},
    {SR_IBREAKENABLE, "ibreakenable", 0},
    {SR_MEMCTL, "memctl", XT_WINDOWED},
    {SR_ATOMCTL, "atomctl", XT_S32C1I},
    {SR_DDR, "ddr", 0},
    {128, "ibreaka0", 0},
    {129, "ibreaka1", XT_WINDOWED},
    {144, "dbreaka0", 0},
    {145, "dbreaka1", XT_WINDOWED},
    {160, "dbreakc0", 0},
    {161, "dbreakc1", XT_WINDOWED},
    {SR_CONFIGID0, "configid0", 0},
    {SR_CONFIGID1, "configid1", 0},
    {SR_DEPC, "depc", 0},
    {SR_CPENABLE, "cpenable", XT_WINDOWED},
    {SR_INTERRUPT, "interrupt", 0},
    {SR_INTCLEAR, "intclear", 0},
    {SR_INTENABLE, "intenable", 0},
    {SR_PS, "ps", 0},
    {SR_VECBASE, "vecbase", 0},
    {SR_EXCCAUSE, "exccause", 0},
    {SR_DEBUGCAUSE, "debugcause", 0},
    {SR_CCOUNT, "ccount", 0},
    {SR_PRID, "prid", 0},
    {SR_ICOUNT, "icount", 0},
    {SR_ICOUNTLEVEL, "icountlevel", 0},
    {SR_EXCVADDR, "excvaddr", 0},
    {SR_EPC1, "epc1", 0},
    {SR_EPC1 + 1, "epc2", 0},
    {SR_EPC1 + 2, "epc3", 0},
    {SR_EPC1 + 3, "epc4", XT_WINDOWED},
    {SR_EPC1 + 4, "epc5", XT_WINDOWED},
    {SR_EPC1 + 5, "epc6", XT_WINDOWED},
    {SR_EPC1 + 6, "epc7", XT_WINDOWED},
    {SR_EPS2, "eps2", 0},
    {SR_EPS2 + 1, "eps3", 0},
    {SR_EPS2 + 2, "eps4", XT_WINDOWED},
    {SR_EPS2 + 3, "eps5", XT_WINDOWED},
    {SR_EPS2 + 4, "eps6", XT_WINDOWED},
    {SR_EPS2 + 5, "eps7", XT_WINDOWED},
    {SR_EXCSAVE1, "excsave1", 0},
    {SR_EXCSAVE1 + 1, "excsave2", 0},
    {SR_EXCSAVE1 + 2, "excsave3", 0},
    {SR_EXCSAVE1 + 3, "excsave4", XT_WINDOWED},
    {SR_EXCSAVE1 + 4, "excsave5", XT_WINDOWED},
    {SR_EXCSAVE1 + 5, "excsave6", XT_WINDOWED},
    {SR_EXCSAVE1 + 6, "excsave7", XT_WINDOWED},
    {SR_CCOMPARE0, "ccompare0", 0},
    {SR_CCOMPARE0 + 1, "ccompare1", XT_WINDOWED},
    {SR_CCOMPARE0 + 2, "ccompare2", XT_WINDOWED},
    {SR_MISC0, "misc0", XT_WINDOWED},
    {SR_MISC0 + 1, "misc1", XT_WINDOWED},
    {SR_MISC0 + 2, "misc2", XT_WINDOWED},
    {SR_MISC0 + 3, "misc3", XT_WINDOWED},
};
enum { NAMES = sizeof names / sizeof *names };

const char *xt_sr_name(unsigned sr) {
  for (size_t i = 0; i < NAMES; i++)
    if (names[i].number == sr)
      return names[i].name;
  return NULL;
}

int xt_sr_find(const char *name) {
  for (size_t i = 0; i < NAMES; i++)
    if (strcmp(names[i].name, name) == 0)
      return names[i].number;
  return strcmp(name, "intset") == 0 ? SR_INTERRUPT : -1;
}

void xt_find_srs(struct xtensa *h) {
  for (size_t i = 0; i < NAMES; i++)
    h->has_sr[names[i].number] = (names[i].needs & ~h->config->options) == 0;
}

bool xt_read_sr(struct xtensa *h, unsigned sr, uint32_t *value) {
  if (sr > 255 || !h->has_sr[sr] || sr == SR_INTCLEAR)
    return false;
  switch (sr) {
  case SR_WINDOWBASE:
    *value = h->window;
    break;
  case SR_INTERRUPT:
    *value = xt_pending(h);
    break;
  case SR_CCOUNT:
    *value = (uint32_t)h->cpu.cycles + h->ccount_base;
    break;
  case SR_PRID:
    *value = h->prid;
    break;
  case SR_CONFIGID0:
  case SR_CONFIGID1:
    *value = h->config->configid[sr == SR_CONFIGID1];
    break;
  default:
    *value = h->sr[sr];
  }
  return true;
}

/* The cycle at which CCOUNT will be CCOMPARE; a whole turn when it is so now. */
static void arm_timer(struct xtensa *h, int t) {
  uint32_t wait = h->sr[SR_CCOMPARE0 + t] - ((uint32_t)h->cpu.cycles + h->ccount_base);
  h->timer_at[t] = h->cpu.cycles + (wait ? wait : (uint64_t)1 << 32);
  cpu_look(&h->cpu);
}

static void write_timer(struct xtensa *h, int t, uint32_t value) {
  h->sr[SR_CCOMPARE0 + t] = value;
  if (h->config->timer[t] >= 0)
    h->latched &= ~(1u << h->config->timer[t]);
  arm_timer(h, t);
}

bool xt_write_sr(struct xtensa *h, unsigned sr, uint32_t value) {
  if (sr > 255 || !h->has_sr[sr])
    return false;
  switch (sr) {
  case SR_SAR:
    h->sr[sr] = value & 63;
    break;
  case SR_BR:
    h->sr[sr] = value & 0xFFFF;
    break;
  case SR_LEND:
  case SR_LCOUNT:
    h->sr[sr] = value;
    xt_update_loop(h);
    break;
  case SR_LITBASE:
    h->sr[sr] = value & 0xFFFFF001;
    break;
  case SR_ACCHI:
    h->sr[sr] = ((value & 0xFF) ^ 0x80) - 0x80;
    break;
  case SR_WINDOWBASE:
    xt_set_window(h, value);
    break;
  case SR_WINDOWSTART:
    h->sr[sr] = value & 0xFFFF;
    xt_update_guard(h);
    break;
  case SR_PS:
    xt_set_ps(h, value);
    break;
  case SR_INTERRUPT:
    h->latched |= value & h->config->software;
    cpu_look(&h->cpu);
    break;
  case SR_INTCLEAR:
    h->latched &= ~(value & (h->config->software | h->config->edge));
    break;
  case SR_INTENABLE:
    h->sr[sr] = value;
    cpu_look(&h->cpu);
    break;
  case SR_VECBASE:
    h->sr[sr] = value & ~0x3FFu;
    break;
  case SR_CCOUNT:
    h->ccount_base = value - (uint32_t)h->cpu.cycles;
    for (int t = 0; t < 3; t++)
      arm_timer(h, t);
    break;
  case SR_CCOMPARE0:
  case SR_CCOMPARE0 + 1:
  case SR_CCOMPARE0 + 2:
    write_timer(h, (int)sr - SR_CCOMPARE0, value);
    break;
  case SR_PRID:
  case SR_CONFIGID0:
  case SR_CONFIGID1:
  case SR_DEBUGCAUSE:
    break;
  default:
    h->sr[sr] = value;
  }
  return true;
}
