// sources: src/sim/[a-q]*.c src/sim/r[ns]*.c src/sim/s[hnpy]*.c src/sim/[t-z]*.c src/telnet.c src/xts.c src/digest.c
/* fuzz_machine.c - a mask ROM that is hostile: as a file, and as code that runs wild on a whole chip.
 *
 * The first byte chooses. The file parser gets the rest as it is; the chip gets it as its ROM's code, with
 * the peripherals of a ROM, a host that sends bytes, and snapshots in between; or as steps, most of them
 * accesses to its peripherals. */
#include "sim/chip.h"
#include "sim/snapshot.h"

#include <stdlib.h>
#include <string.h>

static int is_rom(void *ctx, uint32_t addr) {
  (void)ctx;
  return addr >= 0x40000000 && addr < 0x40060000;
}

static void parse(const uint8_t *data, size_t n) {
  struct sim_elf elf;
  char error[160];
  int found;
  if (sim_elf_parse(data, n, n & 1 ? SIM_ELF_RISCV : SIM_ELF_XTENSA, is_rom, NULL, &elf, error,
                    sizeof error) != 0)
    return;
  for (int i = 0; i < elf.parts; i++)
    if (elf.part[i].offset > n || elf.part[i].size > n - elf.part[i].offset)
      abort();
  sim_elf_word(&elf, data, 0x40000010, &found);
}

static void describe(struct sim_config *c, uint8_t flags) {
  static const struct sim_region region[] = {{0x3C000000, 0x3C7FFFFF, SIM_MAPPED_FLASH},
                                             {0x3FC80000, 0x3FCDFFFF, SIM_RAM},
                                             {0x40000000, 0x4005FFFF, SIM_ROM},
                                             {0x60000000, 0x600FDFFF, SIM_REGISTERS}};
  memset(c, 0, sizeof *c);
  c->regions = 4;
  memcpy(c->region, region, sizeof region);
  static const int riscv[] = {SIM_CPU_RV32IMC, SIM_CPU_RV32IMAC, SIM_CPU_RV32IMAFC, SIM_CPU_RV32IMAFCB_ZC},
                   xtensa[] = {SIM_CPU_LX106, SIM_CPU_ESP32, SIM_CPU_ESP32S2, SIM_CPU_ESP32S3};
  c->core = (struct sim_core_layout){.kind = (flags & 1 ? riscv : xtensa)[flags >> 4 & 3], .clock = 1e6};
  c->core.reset_addr = 0x60008000, c->core.reset_mask = 0x80000000;
  c->spi = (struct sim_spi_layout){0x60002000, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x58, 0, 0x2C};
  c->uart = (struct sim_uart_layout){
      .base = 0x60000000, .clkdiv = 0x14, .date = 0x7C, .clock = 40e6, .rom_clock = 40e6};
  c->uart.auto_conf = 0x20, c->uart.auto_bit = 27, c->uart.auto_low = 0x28, c->uart.auto_high = 0x2C;
  c->uart.auto_count = 0x30, c->uart.rx_reset = 1 << 17;
  c->usj_base = 0x60043000;
  c->boot_baud = 115200;
  c->line_model.paced = 1; /* it keeps to its clock: few instructions for every input */
  c->flash_size = 0x10000;
  c->jedec_id = 0xC84016;
  c->efuse.kind = SIM_EFUSE_BLOCKED;
  c->efuse.base = 0x60008800;
  c->efuse.blocks = 4;
  for (uint32_t i = 0; i < 4; i++) {
    c->efuse.block[i].read = 0x2C + 0x20 * i;
    c->efuse.block[i].write = 0x100 + 0x20 * i;
    c->efuse.block[i].words = 8;
  }
  c->wdt = (struct sim_wdt_layout){0x60008090, 0x60008094, 0x600080A8, 0x50D83AA1};
  c->systimer_base = 0x60023000;
  c->crypt = (struct sim_crypt_layout){.base = 0x600CC000, .control = 0x600C0044, .line = 32, .purpose = 4};
  c->key_purpose[0] = (struct sim_field){1, {{c->efuse.base + 0x34, 0, 4}}};
  c->crypt_cnt = (struct sim_field){1, {{c->efuse.base + 0x34, 2, 1}}}; /* odd: it encrypts */
  c->keys = c->key_block = 1;
  c->fuse[0].word = 2, c->fuse[0].bits = 4;
  c->fuses = 1;
  struct sim_machine_layout *m = &c->machine;
  m->irq = (struct sim_irq_layout){.kind = 1 + (flags >> 1 & 3),
                                   .matrix = 0x600C2000,
                                   .control = 0x600C2000,
                                   .enable = 0x104,
                                   .priority = 0x114,
                                   .threshold = 0x194,
                                   .source = {21, 26}};
  m->cache = (struct sim_cache_layout){.kind = 1 + (flags >> 3 & 1),
                                       .base = 0x600C5000,
                                       .index = 4,
                                       .entries = 128,
                                       .page = 0x10000,
                                       .page_mask = 0xFF,
                                       .valid = 0x100};
  m->timg = (struct sim_timg_layout){.base = {0x6001F000, 0x60020000}, .clock = 1e6, .crystal = 1e6};
  m->crypto.sha = 0x6003B000;
  m->crypto.sha_old = !(flags & 2);
  m->crypto.aes = (struct sim_aes_layout){flags & 2 ? SIM_AES_LATER : SIM_AES_ESP32, 0x6003A000};
  m->crypto.rsa = (struct sim_rsa_layout){flags & 2 ? SIM_RSA_LATER : SIM_RSA_ESP32, 0x6003C000};
  m->crypto.ecc = (struct sim_ecc_layout){
      .base = 0x6003D000, .size = 48, .curve_mask = 3, .mode_lsb = 4, .mode_mask = 15, .good = 29};
  m->crypto.ecdsa = (struct sim_ecdsa_layout){
      .base = 0x6003E000, .curve_lsb = 1, .curve_mask = 3, .memory = 0x300, .size = 48};
  m->crypto.random[0] = 0x60026000;
  m->reg[0] = (struct sim_register){.addr = 0x600C4028, .set = 2, .clear = 1, .forget = 1};
  m->regs = 1;
}

static struct sim_chip *start(const uint8_t *code, size_t n, uint8_t flags) {
  struct sim_config config;
  char error[160];
  describe(&config, flags);
  struct sim_chip *c = sim_chip_new(&config, error, sizeof error);
  if (!c)
    return NULL;
  c->machine.file = malloc(n + 1);
  memcpy(c->machine.file, code, n);
  c->machine.elf = (struct sim_elf){.entry = 0x40000000, .parts = 1, .part = {{0x40000000, 0, (uint32_t)n}}};
  c->machine.on = 1;
  sim_chip_reset(c, SIM_RST_POWER_ON, SIM_BOOT_DOWNLOAD);
  return c;
}

static void run(const uint8_t *data, size_t n, uint8_t flags) {
  char error[160];
  uint8_t out[256];
  struct sim_chip *c = start(data, n, flags);
  if (!c)
    return;
  struct sim_snapshot *s = NULL;
  for (int i = 1; i < 12; i++) {
    sim_chip_input(c, data, n < 64 ? n : 64, i * 0.002);
    sim_chip_output(c, out, sizeof out, i * 0.002);
    if (i == 4)
      s = sim_snapshot_take(c, error, sizeof error);
    if (i == 8 && s)
      sim_snapshot_load(c, s);
  }
  sim_snapshot_free(s);
  sim_chip_free(c);
}

/* Where something is: most accesses go there. */
static const uint32_t places[] = {0x60000000, 0x60002000, 0x60008000, 0x60008800, 0x6001F000, 0x60020000,
                                  0x60023000, 0x60026000, 0x6003B000, 0x6003C000, 0x6003D000, 0x6003E000,
                                  0x60043000, 0x600C2000, 0x600C4000, 0x600C5000, 0x3C000000, 0x3FC80000,
                                  0x40000000, 0x600FD000, 0x3C7FF000, 0x3FCDF000};
enum { PLACES = sizeof places / sizeof *places, STEPS = 120, STEP = 7, SLOW = 12 };

static int is_slow(uint32_t address) { /* products of long numbers and points */
  return address - 0x6003C000 < 0x3000;
}

static void touch(struct sim_chip *c, const uint8_t *step, int *slow) {
  uint32_t address = places[step[1] % PLACES] + (step[2] | (step[6] & 15u) << 8), value = 0;
  unsigned width = 1u << (step[0] >> 4) % 3;
  if (width == 4 || step[0] & 0x80)
    address &= ~3u;
  if (!c->core.bus)
    return;
  if (step[0] & 0x40) {
    (void)cpu_bus_load(c->core.bus, address, width, &value);
  } else if (!is_slow(address) || (*slow)++ < SLOW) {
    memcpy(&value, step + 3, 3);
    value |= step[6] & 0x80 ? 0xFF000000 : 0;
    (void)cpu_bus_store(c->core.bus, address, width, width == 4 ? value : value & ((1u << 8 * width) - 1));
  }
}

/* Steps of seven bytes; behind the end of the input by a generator that the input seeds, so that short ones
 * go far, too. */
static void fill(uint8_t *to, size_t size, const uint8_t *data, size_t n) {
  uint32_t x = 2166136261u;
  for (size_t i = 0; i < n; i++)
    x = (x ^ data[i]) * 16777619u;
  for (size_t i = 0; i < size; i++) {
    x = x * 1664525 + 1013904223;
    to[i] = i < n ? data[i] : (uint8_t)(x >> 24);
  }
}

static void steps(const uint8_t *input, size_t n, uint8_t flags) {
  uint8_t all[STEPS * STEP], *data = all;
  fill(all, sizeof all, input, n);
  static const uint8_t loop[] = {0x6F, 0, 0, 0};
  char error[160];
  uint8_t out[256];
  struct sim_chip *c = start(loop, sizeof loop, flags);
  struct sim_snapshot *s = NULL;
  double now = 0;
  int slow = 0;
  for (int i = 0; c && i < STEPS; i++, data += STEP) {
    int seldom = data[1] < 64;
    switch (data[0] & 15) {
    case 0:
      sim_chip_input(c, data + 1, STEP - 1, now);
      break;
    case 1:
      sim_chip_output(c, out, sizeof out, now += data[1] * 1e-4);
      break;
    case 2:
      if (seldom)
        sim_chip_reset(c, data[1] % SIM_RSTS, data[2] & 1);
      break;
    case 3:
      if (!seldom)
        break;
      sim_snapshot_free(s);
      s = sim_snapshot_take(c, error, sizeof error);
      break;
    case 4:
      if (seldom && s && sim_snapshot_of(s, c))
        sim_snapshot_load(c, s);
      break;
    case 5:
      if (c->core.cpu)
        cpu_set(c->core.cpu, data[1] & 63, places[data[2] % PLACES] + data[3]);
      break;
    default:
      touch(c, data, &slow);
    }
  }
  sim_snapshot_free(s);
  if (c)
    sim_chip_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  if (n < 2)
    return 0;
  if (data[0] & 0x80)
    parse(data + 1, n - 1);
  else if (data[0] & 0x40)
    steps(data + 1, n - 1, data[0]);
  else
    run(data + 1, n - 1 < 4096 ? n - 1 : 4096, data[0]);
  return 0;
}
