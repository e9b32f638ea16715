// sources: src/sim/[a-q]*.c src/sim/r[ns]*.c src/sim/s[hnpy]*.c src/sim/[t-z]*.c src/telnet.c src/xts.c src/digest.c
/* fuzz_sim.c - a host that sends anything to the simulated chip, without threads.
 *
 * The input is a list of steps: a byte that says what, then what it needs. Frames are built from input bytes,
 * so that most of them get past the framing. */
#include "sim/host.h"

#include <stdlib.h>
#include <string.h>

struct input {
  const uint8_t *at, *end;
};

static uint8_t next(struct input *in) {
  return in->at < in->end ? *in->at++ : 0;
}

static void describe(struct sim_config *c, uint8_t flags) {
  memset(c, 0, sizeof *c);
  c->rom.status_bytes = flags & 1 ? 2 : 4;
  c->rom.commands = flags & 2 ? 0x7FC : 0x1FEFFC;
  c->rom.sdm_commands = 0x10A91C;
  c->rom.encrypted_word = flags & 4;
  c->rom.erase_quirk = (flags & 8) != 0;
  c->rom.security = SIM_SECURITY_FULL;
  c->rom.ram_block = 0x1800;
  c->rom.flash_size = 0x40000;
  c->spi = (struct sim_spi_layout){0x60002000,           0x18, 0x1C,     0x20, flags & 2 ? 0 : 0x24,
                                   flags & 2 ? 0 : 0x28, 0x58, flags & 1};
  c->uart = (struct sim_uart_layout){
      .base = 0x60000000, .clkdiv = 0x14, .date = 0x7C, .clock = 40e6, .rom_clock = 26e6, .date_value = 1};
  c->uart.layout = flags & 3;
  c->uart.fsm = flags & 2 ? 0x6C : 0;
  if ((flags & 12) == 12) { /* what it loads is run */
    c->core = (struct sim_core_layout){.kind = flags & 1 ? SIM_CPU_RV32IMC : SIM_CPU_ESP32,
                                       .clock = 1e6, /* few instructions in a second */
                                       .stack = 0x3FCDF000,
                                       .trap = {{0x40000164, SIM_TRAP_ATTACH},
                                                {0x40000200, SIM_TRAP_WRITE_ENCRYPTED},
                                                {0x40000210, SIM_TRAP_SECURITY_INFO},
                                                {0x40000220, SIM_TRAP_UART_DEVICE},
                                                {0x40000230, SIM_TRAP_RESET},
                                                {0x40000240, SIM_TRAP_BOOT}},
                                       .traps = 6,
                                       .reset_addr = 0x60008000,
                                       .reset_mask = 0x80000000};
    c->usj_base = 0x60043000;
    c->systimer_base = 0x60023000;
    c->alias[0] = (struct sim_alias){0x40380000, 0x403DFFFF, 0x3FC80000};
    c->aliases = 1;
  }
  c->wdt = (struct sim_wdt_layout){0x60008090, 0x60008094, 0x600080A8, 0x50D83AA1};
  c->efuse.kind = flags & 2 ? SIM_EFUSE_ESP32 : SIM_EFUSE_BLOCKED;
  c->efuse.base = 0x60008800;
  c->efuse.blocks = 4;
  for (int i = 0; i < 4; i++) {
    c->efuse.block[i].read = 0x2C + 0x20 * (uint32_t)i;
    c->efuse.block[i].write = 0x100 + 0x20 * (uint32_t)i;
    c->efuse.block[i].words = 8;
    c->efuse.block[i].write_protect = i ? 20 + i : -1;
    c->efuse.block[i].read_protect = i - 1;
  }
  c->efuse.conf = 0x1CC, c->efuse.status = 0x1D0, c->efuse.cmd = 0x1D4;
  c->efuse.conf_write = 0x5A5A, c->efuse.conf_read = 0x5AA5;
  c->efuse.wr_dis_mask = 0xFFFFFFFF;
  c->efuse.rd_dis = 1, c->efuse.rd_dis_mask = 0x7F;
  c->efuse.coding = 6;
  c->secure_download = (struct sim_field){1, {{0x6000882C + 12, 5, 1}}};
  c->crypt_cnt = (struct sim_field){2, {{0x6000882C + 4, 18, 3}, {0x60008830, 31, 32}}};
  c->region[0] = (struct sim_region){0x3FC80000, 0x3FCDFFFF, SIM_RAM};
  c->region[1] = (struct sim_region){0x40000000, 0x4005FFFF, SIM_ROM};
  c->region[2] = (struct sim_region){0x4037C000, 0x403DFFFF, SIM_RAM_WORDS};
  c->region[3] = (struct sim_region){0x60000000, 0x600FFFFF, SIM_REGISTERS};
  c->regions = 4;
  c->link = flags >> 4 & 1 ? SIM_LINK_USJ : SIM_LINK_UART;
  c->boot_baud = 115200;
  strcpy(c->banner, "boot\r\n");
  strcpy(c->line, "rst:0x{reset} ({reset_name}),boot:0x{boot} ({boot_name}) {odd} {\r\n");
  strcpy(c->panic, "panic\r\n");
  c->jedec_id = 0xC84012;
  c->flash_size = 0x40000;
  c->vanish = flags >> 5 & 1;
  c->reenumerate = 0.2;
  c->start_download = 1;
  c->timing = flags >> 6 & 1;
  c->en_delay = 0.002;
  c->line_model.latency = flags >> 7 ? 0.001 : 0;
  c->line_model.paced = flags >> 7;
  c->line_model.stall_time = 0.01;
}

static void send_frame(struct sim_host *h, struct input *in, double now) {
  uint8_t frame[2 + 2 * (8 + 4096)], raw[8 + 4096];
  size_t n = 8, len = 0;
  size_t body = next(in) | (size_t)(next(in) & 3) << 8, pad = next(in) & 1 ? 1024 : 0;
  raw[0] = 0;
  raw[1] = next(in) % 24;
  raw[4] = 0xEF;
  raw[5] = raw[6] = raw[7] = 0;
  while (body-- > 0 && in->at < in->end && n < 1024)
    raw[n++] = next(in);
  for (; pad > 0; pad--, n++)
    raw[n] = (uint8_t)(n * 7);
  for (size_t i = 24; i < n; i++)
    raw[4] ^= raw[i];
  raw[2] = (uint8_t)(n - 8), raw[3] = (uint8_t)((n - 8) >> 8);
  frame[len++] = 0xC0;
  for (size_t i = 0; i < n; i++) {
    if (raw[i] == 0xC0 || raw[i] == 0xDB)
      frame[len++] = 0xDB;
    frame[len++] = raw[i] == 0xC0 ? 0xDC : raw[i] == 0xDB ? 0xDD : raw[i];
  }
  frame[len++] = 0xC0;
  sim_host_input(h, frame, len, now);
}

static void step(struct sim_chip *c, struct sim_host *h, struct input *in, double *now) {
  static const uint8_t sync[] =
      "\xC0\0\x08\x24\0\0\0\0\0\x07\x07\x12\x20UUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUU\xC0";
  uint8_t out[512], what = next(in), n;
  switch (what & 7) {
  case 0:
    sim_host_input(h, sync, sizeof sync - 1, *now);
    break;
  case 1: /* bytes as they are */
    for (n = next(in) & 63; n > 0 && in->at < in->end; n--)
      sim_host_input(h, in->at++, 1, *now);
    break;
  case 2:
    sim_chip_set_lines(c, next(in) % 3 - 1, next(in) % 3 - 1, *now);
    break;
  case 3:
    sim_chip_set_baud(c, (next(in) | next(in) << 8 | next(in) << 16) * 2.0, *now);
    break;
  case 4:
    *now += next(in) * 0.01;
    sim_chip_run(c, *now);
    break;
  case 5:
    sim_chip_opened(c, *now);
    break;
  default:
    send_frame(h, in, *now);
    break;
  }
  while (sim_host_output(h, out, sizeof out, *now) > 0)
    ;
  double due = sim_chip_next(c);
  if (due >= 0 && what & 8)
    *now = due > *now ? due : *now;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, data + size};
  struct sim_config config;
  char error[200];
  double now = 0;
  describe(&config, next(&in));
  uint8_t fault = next(&in);
  config.line_model.seed = fault;
  if (fault & 1)
    config.line_model.faults[fault >> 1 & 1] = (struct sim_faults){0.1, 0.2, 0.1, 0.1, 0.01, 0.01};
  if (fault & 4)
    config.line_model.unplug = 3000;
  struct sim_chip *c = sim_chip_new(&config, error, sizeof error);
  if (!c)
    abort();
  struct sim_host h;
  sim_host_init(&h, fault >> 3 & 1 ? SIM_HOST_RFC2217 : SIM_HOST_PORT, c);
  while (in.at < in.end)
    step(c, &h, &in, &now);
  sim_chip_free(c);
  return 0;
}
