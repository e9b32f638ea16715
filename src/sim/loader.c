/* loader.c - frames and dispatch of the ROM's serial loader.
 *
 * What is modelled was read off the public ROM code of the chips and compared with an emulated ESP32 and
 * ESP32-C3 that run theirs. */
#include "sim/loader.h"

#include "sim/boot.h"
#include "sim/chip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

uint32_t sim_word(const uint8_t *body, size_t i) {
  const uint8_t *b = body + 4 * i;
  return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint8_t sim_checksum(const uint8_t *data, size_t n) {
  uint8_t sum = 0xEF;
  for (size_t i = 0; i < n; i++)
    sum ^= data[i];
  return sum;
}

void sim_loader_free(struct sim_chip *c) {
  if (c->loader.inflate) {
    inflateEnd(c->loader.inflate);
    free(c->loader.inflate);
  }
  free(c->loader.window);
  c->loader.inflate = c->loader.window = NULL;
}

void sim_loader_reset(struct sim_chip *c) {
  sim_loader_free(c);
  memset(&c->loader, 0, sizeof c->loader);
  c->loader.flash_size = c->config.rom.flash_size;
  c->loader.secure = sim_field_get(c, &c->config.secure_download) != 0;
}

static void send_escaped(struct sim_chip *c, const uint8_t *data, size_t n) {
  uint8_t out[2 * (8 + SIM_REPLY_BODY + 4) + 2];
  size_t len = 0;
  out[len++] = 0xC0;
  for (size_t i = 0; i < n; i++) {
    if (data[i] == 0xC0 || data[i] == 0xDB) {
      out[len++] = 0xDB;
      out[len++] = data[i] == 0xC0 ? 0xDC : 0xDD;
    } else {
      out[len++] = data[i];
    }
  }
  out[len++] = 0xC0;
  sim_chip_send(c, out, len, sim_chip_baud(c));
}

/* A reply with `extra` bytes of body before the status, sent `times` times. */
static void reply(struct sim_chip *c, int failed, size_t extra, int times) {
  struct sim_loader *l = &c->loader;
  uint8_t out[8 + SIM_REPLY_BODY + 4];
  size_t status = (size_t)c->config.rom.status_bytes, size = extra + status;
  l->body[extra] = failed ? 1 : 0;
  l->body[extra + 1] = l->error;
  out[0] = 1;
  out[1] = l->op;
  out[2] = (uint8_t)size;
  out[3] = 0;
  for (int i = 0; i < 4; i++)
    out[4 + i] = (uint8_t)(l->value >> 8 * i);
  memcpy(out + 8, l->body, size);
  for (int i = 0; i < times; i++)
    send_escaped(c, out, 8 + size);
}

static size_t reply_body(const struct sim_chip *c, uint8_t op) {
  switch (op) {
  case SIM_OP_READ_FLASH_SLOW:
    return 64;
  case SIM_OP_MD5:
    return 32;
  case SIM_OP_SECURITY_INFO:
    return c->config.rom.security == SIM_SECURITY_FULL ? 20 : 12;
  default:
    return 0;
  }
}

static int known(const struct sim_chip *c, uint8_t op) {
  uint32_t set = c->loader.secure ? c->config.rom.sdm_commands : c->config.rom.commands;
  return op < 32 && set >> op & 1;
}

static int run_command(struct sim_chip *c, uint8_t op, uint8_t *body, size_t n, uint8_t checksum) {
  switch (op) {
  case SIM_OP_MEM_BEGIN:
  case SIM_OP_MEM_DATA:
  case SIM_OP_MEM_END:
    return sim_cmd_mem(c, op, body, n, checksum);
  case SIM_OP_FLASH_BEGIN:
  case SIM_OP_FLASH_DATA:
  case SIM_OP_FLASH_END:
    return sim_cmd_flash(c, op, body, n, checksum);
  case SIM_OP_DEFL_BEGIN:
  case SIM_OP_DEFL_DATA:
  case SIM_OP_DEFL_END:
    return sim_cmd_deflate(c, op, body, n, checksum);
  default:
    return sim_cmd_info(c, op, body, n);
  }
}

void sim_loader_panic(struct sim_chip *c, int storing) {
  const char *text = storing ? c->config.panic_store : c->config.panic;
  sim_chip_send(c, (const uint8_t *)text, strlen(text), sim_chip_baud(c));
}

/* What was put off until the reply was out. */
static void afterwards(struct sim_chip *c) {
  struct sim_loader *l = &c->loader;
  if (l->new_baud > 0) {
    sim_chip_send(c, (const uint8_t *)"\xC0\xC0", 2, sim_chip_baud(c));
    sim_uart_divide(&c->uart, c->config.uart.rom_clock, l->new_baud);
    l->new_baud = 0;
  }
  if (l->panic)
    sim_loader_panic(c, l->panic == SIM_PANIC_STORE);
  if (l->hang || l->panic)
    c->state = SIM_STATE_HUNG;
  else if (l->restart) {
    sim_chip_send(c, (const uint8_t *)"\xC0\xC0", 2, sim_chip_baud(c));
    sim_chip_reset(c, SIM_RST_SOFTWARE, c->boot_mode); /* the pins are not looked at again */
  } else if (l->leave && l->op == SIM_OP_MEM_END && c->config.rom.ram_refused &&
             sim_field_get(c, &c->config.secure_boot)) {
    sim_chip_reset(c, SIM_RST_SOFTWARE, c->boot_mode);
  } else if (l->leave) {
    c->state = SIM_STATE_APP;
    if (l->op == SIM_OP_MEM_END || l->op == SIM_OP_READ_FLASH_SLOW)
      sim_core_start(c, l->entry);
    else
      sim_boot_left(c);
  }
}

static void serve(struct sim_chip *c) {
  struct sim_loader *l = &c->loader;
  uint8_t op = l->frame[1], *body = l->frame + 8;
  size_t n = l->frame[2] | (size_t)l->frame[3] << 8, extra = 0;
  struct sim_event event = {
      .time = c->now, .op = op, .size = (uint32_t)n, .a = sim_word(body, 0), .b = sim_word(body, 1)};
  int failed = 1;
  if (l->frame[0] != 0 || !known(c, op)) {
    l->error = SIM_ERR_FORMAT; /* the operation in the reply stays that of the command before */
  } else {
    int code = run_command(c, op, body, n, l->frame[4]);
    failed = code != SIM_OK;
    if (failed)
      l->error = (uint8_t)code;
    l->op = op;
    extra = reply_body(c, op);
  }
  event.status = (uint8_t)failed;
  event.error = failed ? l->error : 0;
  event.value = l->value;
  sim_chip_log(c, event);
  if (!l->hang && !l->panic && !(l->leave && op == SIM_OP_READ_FLASH_SLOW))
    reply(c, failed, extra, l->op == SIM_OP_SYNC ? 8 : 1);
  afterwards(c);
}

/* Before the first SYNC only that is looked for, at whatever rate it comes. */
static void wait_for_sync(struct sim_chip *c) {
  struct sim_loader *l = &c->loader;
  if (l->frame[0] != 0 || l->frame[1] != SIM_OP_SYNC)
    return;
  l->connected = 1;
  l->value = sim_word(l->frame + 8, 0);
  l->op = SIM_OP_SYNC;
  sim_chip_log(c, (struct sim_event){.time = c->now, .op = SIM_OP_SYNC, .size = 36, .value = l->value});
  reply(c, 0, 0, 8);
  l->op = 0; /* the command loop starts with a fresh reply */
  l->value = 0;
}

void sim_loader_byte(struct sim_chip *c, uint8_t byte) {
  struct sim_loader *l = &c->loader;
  if (byte == 0xC0) {
    size_t n = l->len;
    l->escaped = 0;
    l->len = 0;
    l->in_frame = n == 0; /* the end of nothing is a beginning */
    if (n == 0)
      return;
    if (!l->connected)
      wait_for_sync(c);
    else
      serve(c);
    return;
  }
  if (!l->in_frame)
    return;
  if (l->escaped) {
    l->escaped = 0;
    byte = byte == 0xDC ? 0xC0 : byte == 0xDD ? 0xDB : byte;
  } else if (byte == 0xDB) {
    l->escaped = 1;
    return;
  }
  uint32_t max = c->config.rom.frame_max;
  if (l->len < sizeof l->frame && (max == 0 || l->len < max))
    l->frame[l->len++] = byte;
}
