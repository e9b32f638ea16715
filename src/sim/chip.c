/* chip.c - the simulated chip: its parts put together, its clock, its resets. */
#include "sim/chip.h"

#include "sim/boot.h"
#include "sim/garble.h"
#include "sim/pins.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t sim_field_get(struct sim_chip *c, const struct sim_field *f) {
  uint32_t value = 0;
  int shift = 0;
  for (int i = 0; i < f->parts; i++) {
    uint32_t mask = f->part[i].width >= 32 ? 0xFFFFFFFF : (1u << f->part[i].width) - 1;
    if (shift < 32)
      value |= (sim_bus_read(&c->bus, f->part[i].addr) >> f->part[i].lsb & mask) << shift;
    shift += f->part[i].width;
  }
  return value;
}

/* Sets all bits of a field in plain storage. */
static void sim_field_set(struct sim_chip *c, const struct sim_field *f) {
  for (int i = 0; i < f->parts; i++) {
    uint32_t mask = f->part[i].width >= 32 ? 0xFFFFFFFF : (1u << f->part[i].width) - 1;
    sim_bus_preset(&c->bus, f->part[i].addr, sim_bus_read(&c->bus, f->part[i].addr) | mask << f->part[i].lsb);
  }
}

double sim_chip_baud(struct sim_chip *c) {
  return c->config.link == SIM_LINK_UART ? sim_uart_baud(&c->uart) : 0;
}

void sim_chip_send(struct sim_chip *c, const uint8_t *data, size_t n, double baud) {
  double at = c->busy_until > c->now ? c->busy_until : c->now;
  sim_line_send(&c->line, SIM_TO_HOST, data, n, baud, baud > 0 ? c->host_baud : 0, at);
}

void sim_chip_take_time(struct sim_chip *c, double seconds) {
  if (!c->config.timing)
    return;
  if (c->busy_until < c->now)
    c->busy_until = c->now;
  c->busy_until += seconds;
}

void sim_chip_log(struct sim_chip *c, struct sim_event e) {
  if (!c->log)
    c->log = calloc(SIM_LOG, sizeof *c->log);
  if (c->log)
    c->log[c->log_count++ % SIM_LOG] = e;
}

static void presets(struct sim_chip *c) {
  for (int i = 0; i < c->config.presets; i++)
    sim_bus_preset(&c->bus, c->config.preset[i].addr, c->config.preset[i].value);
  if (c->config.link_addr)
    sim_bus_preset(&c->bus, c->config.link_addr, c->config.link_value);
}

void sim_chip_reset(struct sim_chip *c, int cause, int mode) {
  uint32_t kept[SIM_REGISTERS_MAX];
  int forced =
      cause != SIM_RST_POWER_ON && cause != SIM_RST_EXTERNAL && sim_field_get(c, &c->config.force_download);
  c->resets++;
  sim_core_stop(c);
  c->core.time = 0;
  c->boot_mode = mode;
  if (forced)
    mode = SIM_BOOT_DOWNLOAD;
  c->busy_until = 0;
  sim_line_flush(&c->line, SIM_TO_CHIP);
  sim_machine_keep(c, cause, kept);
  sim_mem_free(&c->bus.mem);
  presets(c);
  sim_machine_restore(c, cause, kept);
  if (forced)
    sim_field_set(c, &c->config.force_download);
  if (c->config.strap_addr)
    sim_bus_preset(&c->bus, c->config.strap_addr, c->config.strap[c->boot_mode]);
  sim_efuse_load(&c->efuse);
  sim_wdt_reset(&c->wdt, c->machine.on && c->boot_mode == SIM_BOOT_FLASH);
  sim_spi_init(&c->spi, &c->config.spi, &c->nor, &c->crypt);
  sim_spi2_reset(&c->spi2);
  sim_crypt_reset(&c->crypt);
  sim_uart_divide(&c->uart, c->config.uart.clock, c->config.boot_baud);
  c->flash_connected = 0;
  sim_loader_reset(c);
  if (c->machine.on) {
    sim_machine_reset(c, cause, c->boot_mode);
    return;
  }
  if (mode == SIM_BOOT_DOWNLOAD && sim_field_get(c, &c->config.download_disabled))
    mode = SIM_BOOT_FLASH;
  c->state = mode == SIM_BOOT_DOWNLOAD ? SIM_STATE_DOWNLOAD : SIM_STATE_APP;
  uint32_t entry;
  if (sim_boot_print(c, cause, mode) && sim_core_load(c, &entry))
    sim_core_start(c, entry);
}

/* The software reset, by a program. */
static int reset_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_chip *c = ctx;
  (void)offset;
  if (!c->core.cpu || !(value & c->config.core.reset_mask))
    return 0;
  sim_core_want(c, SIM_WANTS_RESET);
  return 1;
}

/* The ROM sets up the pads of the flash: from then on it answers. Nothing else is modelled of them. */
static int pad_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_chip *c = ctx;
  (void)offset, (void)value;
  c->flash_connected |= c->machine.on;
  return 0;
}

static void attach(struct sim_chip *c) {
  const struct sim_config *g = &c->config;
  sim_bus_attach(&c->bus, (struct sim_dev){g->spi.base, 0x100, sim_spi_read, sim_spi_write, &c->spi});
  if (g->spi2.base)
    sim_bus_attach(&c->bus, (struct sim_dev){g->spi2.base, 0x100, sim_spi2_read, sim_spi2_write, &c->spi2});
  if (g->spi_also)
    sim_bus_attach(&c->bus, (struct sim_dev){g->spi_also, 0x100, sim_spi_read, sim_spi_write, &c->spi});
  sim_bus_attach(&c->bus, (struct sim_dev){g->uart.base, 0x100, sim_uart_read, sim_uart_write, &c->uart});
  sim_bus_attach(&c->bus, (struct sim_dev){g->efuse.base, 0x400, sim_efuse_read, sim_efuse_write, &c->efuse});
  if (g->wdt.wprotect > g->wdt.config0)
    sim_bus_attach(&c->bus, (struct sim_dev){g->wdt.config0, g->wdt.wprotect - g->wdt.config0 + 4,
                                             sim_wdt_read, sim_wdt_write, &c->wdt});
  const struct sim_uart_layout *u = &g->uart;
  if (u->fifo)
    sim_bus_attach(&c->bus, (struct sim_dev){u->fifo, 0x80, sim_uart_read, sim_uart_write, &c->uart});
  if (g->usj_base)
    sim_bus_attach(&c->bus, (struct sim_dev){g->usj_base, 0x80, sim_usj_read, sim_usj_write, &c->usj});
  if (g->systimer_base)
    sim_bus_attach(&c->bus, (struct sim_dev){g->systimer_base, 0x80, sim_systimer_read, sim_systimer_write,
                                             &c->systimer});
  if (g->core.reset_addr)
    sim_bus_attach(&c->bus, (struct sim_dev){g->core.reset_addr, 4, NULL, reset_write, c});
  if (g->crypt.base)
    sim_bus_attach(&c->bus,
                   (struct sim_dev){g->crypt.base, 0x5C, sim_crypt_read, sim_crypt_write, &c->crypt});
  const struct sim_machine_layout *m = &g->machine;
  if (m->irq.kind) {
    sim_bus_attach(&c->bus, (struct sim_dev){m->irq.control, m->irq.kind == SIM_IRQ_CLIC ? 0x2000 : 0x200,
                                             sim_irq_read, sim_irq_write, &c->machine.irq});
    if (m->irq.control != m->irq.matrix)
      sim_bus_attach(&c->bus, (struct sim_dev){m->irq.matrix, 4 * SIM_IRQ_SOURCES, sim_irq_map_read,
                                               sim_irq_map_write, &c->machine.irq});
  }
  if (m->flash_pad)
    sim_bus_attach(&c->bus, (struct sim_dev){m->flash_pad, 4, NULL, pad_write, c});
  if (m->cache.kind)
    sim_bus_attach(&c->bus, (struct sim_dev){m->cache.base,
                                             m->cache.kind == SIM_CACHE_TABLE ? 4 * m->cache.entries : 8,
                                             sim_cache_read, sim_cache_write, &c->machine.cache});
  sim_crypto_attach(&c->machine.crypto, &m->crypto, &c->bus);
  for (int i = 0; i < SIM_TIMGS; i++)
    if (m->timg.base[i])
      sim_bus_attach(&c->bus, (struct sim_dev){m->timg.base[i], 0x100, sim_timg_read, sim_timg_write,
                                               &c->machine.timg.one[i]});
  c->bus.aliases = g->aliases;
  memcpy(c->bus.alias, g->alias, sizeof c->bus.alias);
  c->bus.regions = g->regions;
  memcpy(c->bus.region, g->region, sizeof c->bus.region);
}

/* Chip and snapshots may be let go by different threads. */
struct sim_mark {
  atomic_int holders;
};

struct sim_mark *sim_mark_hold(struct sim_mark *m) {
  if (m)
    atomic_fetch_add(&m->holders, 1);
  return m;
}

void sim_mark_drop(struct sim_mark *m) {
  if (m && atomic_fetch_sub(&m->holders, 1) == 1)
    free(m);
}

struct sim_chip *sim_chip_new(const struct sim_config *config, char *error, size_t error_size) {
  struct sim_chip *c = calloc(1, sizeof *c);
  int fresh = 0;
  if (!c) {
    snprintf(error, error_size, "no memory for a simulated chip");
    return NULL;
  }
  c->config = *config;
  c->flash.fd = -1;
  c->mark = calloc(1, sizeof *c->mark);
  if (!sim_mark_hold(c->mark)) {
    snprintf(error, error_size, "no memory for a simulated chip");
    free(c);
    return NULL;
  }
  if (sim_flash_open(&c->flash, config->flash_size, config->flash_file, error, error_size) != 0 ||
      sim_efuse_open(&c->efuse, &config->efuse, config->efuse_file, &fresh, error, error_size) != 0) {
    sim_chip_free(c);
    return NULL;
  }
  if (config->nand && sim_nand_open(&c->nand, config->nand_file, c->config.nand_fault, config->nand_faults,
                                    &c->core.time, error, error_size) != 0) {
    sim_chip_free(c);
    return NULL;
  }
  c->config.flash_file = c->config.efuse_file = c->config.nand_file = c->config.rom_file = NULL;
  if (fresh) {
    for (int i = 0; i < config->fuses; i++)
      sim_efuse_set(&c->efuse, config->fuse[i].block, config->fuse[i].word, config->fuse[i].bits);
    if (sim_efuse_save(&c->efuse) != 0) {
      snprintf(error, error_size, "eFuse file %s: cannot be written", config->efuse_file);
      sim_chip_free(c);
      return NULL;
    }
  }
  c->spi.nor = &c->nor;
  c->usj.chip = c->crypt.chip = c;
  c->systimer.time = &c->core.time;
  sim_nor_init(&c->nor, &c->flash, config->jedec_id, &c->flash_connected, &c->core.time);
  c->spi2 = (struct sim_spi2){.at = config->spi2, .bus = &c->bus, .nand = &c->nand};
  sim_uart_init(&c->uart, &config->uart, c);
  sim_wdt_init(&c->wdt, &config->wdt, &c->now);
  sim_line_init(&c->line, &config->line_model);
  c->machine.irq.chip = c->machine.cache.chip = c->machine.timg.chip = c;
  sim_rng_init(&c->machine.crypto.rng, config->line_model.seed);
  attach(c);
  if (config->rom_file && sim_machine_load(c, config->rom_file, error, error_size) != 0) {
    sim_chip_free(c);
    return NULL;
  }
  if (c->machine.on)
    c->wdt.now = &c->core.time;
  c->host_baud = 115200;
  c->en_delay = config->en_delay;
  c->en = c->io0 = 1;
  c->en_rises = c->gone_until = -1;
  c->vanish_left = config->vanish;
  sim_chip_reset(c, SIM_RST_POWER_ON, config->start_download ? SIM_BOOT_DOWNLOAD : SIM_BOOT_FLASH);
  return c;
}

void sim_chip_free(struct sim_chip *c) {
  if (!c)
    return;
  sim_core_stop(c);
  sim_loader_free(c);
  sim_machine_free(c);
  sim_line_free(&c->line);
  sim_flash_close(&c->flash);
  sim_nand_close(&c->nand);
  sim_efuse_close(&c->efuse);
  sim_bus_free(&c->bus);
  sim_mark_drop(c->mark);
  free(c->log);
  free(c);
}

static void clock_to(struct sim_chip *c, double now) {
  if (now > c->now)
    c->now = now;
}

/* Waiting for SYNC, the ROM measures the rate of what it hears. */
static void autobaud(struct sim_chip *c) {
  if (c->config.link == SIM_LINK_UART && c->state == SIM_STATE_DOWNLOAD && !c->loader.connected &&
      !c->machine.on && c->host_baud > 0)
    sim_uart_divide(&c->uart, c->config.uart.clock, c->host_baud);
}

void sim_chip_input(struct sim_chip *c, const uint8_t *data, size_t n, double now) {
  clock_to(c, now);
  sim_chip_run(c, now);
  autobaud(c);
  double chip_baud = c->machine.on && sim_uart_measures(&c->uart) ? 0 : sim_chip_baud(c);
  double rate = c->host_baud;
  if (rate <= 0) /* a host without a rate of its own: its server follows the chip's */
    rate = chip_baud > 0 ? chip_baud : sim_chip_baud(c), chip_baud = 0;
  sim_line_send(&c->line, SIM_TO_CHIP, data, n, rate, chip_baud, c->now);
  sim_chip_run(c, now);
}

size_t sim_chip_output(struct sim_chip *c, uint8_t *out, size_t max, double now) {
  clock_to(c, now);
  return sim_line_take(&c->line, SIM_TO_HOST, out, max, c->now);
}

static void usb_restart(struct sim_chip *c) {
  if (c->config.link == SIM_LINK_UART)
    return;
  c->gone_until = c->now + c->config.reenumerate;
  c->gone = 1;
}

/* Only the reset of everything looks at the pins again. */
void sim_chip_bite(struct sim_chip *c, int cause) {
  int mode = c->io0 ? SIM_BOOT_FLASH : SIM_BOOT_DOWNLOAD;
  sim_chip_reset(c, cause, cause == SIM_RST_WATCHDOG ? mode : c->boot_mode);
  if (cause == SIM_RST_WATCHDOG)
    usb_restart(c);
}

int sim_chip_bites(const struct sim_chip *c) {
  static const int causes[] = {[SIM_WDT_CPU] = SIM_RST_WATCHDOG_CPU,
                               [SIM_WDT_CORE] = SIM_RST_WATCHDOG_CORE,
                               [SIM_WDT_SYSTEM] = SIM_RST_WATCHDOG};
  return c->wdt.due >= 0 && *c->wdt.now >= c->wdt.due ? causes[c->wdt.bite] : -1;
}

void sim_chip_run(struct sim_chip *c, double now) {
  uint8_t byte;
  clock_to(c, now);
  sim_pins_run(c);
  if (!c->machine.on && sim_chip_bites(c) >= 0)
    sim_chip_bite(c, sim_chip_bites(c));
  if (c->core.cpu) {
    sim_core_run(c);
    return; /* the program takes what arrives */
  }
  while (c->busy_until <= c->now && sim_line_take(&c->line, SIM_TO_CHIP, &byte, 1, c->now) == 1)
    if (c->state == SIM_STATE_DOWNLOAD)
      sim_loader_byte(c, byte);
}

static void sooner(double *best, double t) {
  if (t >= 0 && (*best < 0 || t < *best))
    *best = t;
}

double sim_chip_next(struct sim_chip *c) {
  double best = -1, in = sim_line_next(&c->line, SIM_TO_CHIP);
  sooner(&best, sim_core_next(c));
  if (in >= 0 && !c->core.cpu)
    sooner(&best, in > c->busy_until ? in : c->busy_until);
  sooner(&best, sim_line_next(&c->line, SIM_TO_HOST));
  sooner(&best, c->en ? -1 : c->en_rises);
  sooner(&best, c->machine.on ? -1 : c->wdt.due);
  sooner(&best, c->gone_until > c->now ? c->gone_until : -1);
  return best;
}

void sim_chip_set_baud(struct sim_chip *c, double baud, double now) {
  sim_chip_run(c, now);
  c->host_baud = baud;
}

void sim_chip_set_lines(struct sim_chip *c, int dtr, int rts, double now) {
  sim_chip_run(c, now);
  if (dtr >= 0)
    c->dtr = dtr;
  if (rts >= 0)
    c->rts = rts;
  sim_pins_changed(c);
}

void sim_chip_drop_received(struct sim_chip *c, double now) {
  uint8_t dropped[256];
  sim_chip_run(c, now);
  while (sim_chip_output(c, dropped, sizeof dropped, now) > 0)
    ;
}

int sim_chip_present(const struct sim_chip *c, double now) {
  return !c->line.cut && (c->gone_until < 0 || now >= c->gone_until);
}

void sim_chip_opened(struct sim_chip *c, double now) {
  sim_chip_run(c, now);
  c->gone = 0;
}
