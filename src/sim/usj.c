/* usj.c - the registers of USB-Serial/JTAG. Source: Technical Reference Manuals, "USB Serial/JTAG
 * Controller". */
#include "sim/usj.h"

#include "sim/chip.h"

enum { EP1 = 0x00, EP1_CONF = 0x04, INT_RAW = 0x08, INT_STATE = 0x0C, INT_ENABLE = 0x10 };
enum { WR_DONE = 1, IN_FREE = 2, OUT_AVAILABLE = 4 };
enum { BACKLOG = 65536 }; /* bytes that the host has not read, before it counts as one that does not read */

void sim_usj_start(struct sim_usj *u) {
  u->in_len = u->out_at = u->out_len = u->enabled = 0;
}

static int ours(const struct sim_chip *c) {
  return c->core.cpu && c->config.link == SIM_LINK_USJ;
}

static void packet(struct sim_usj *u) {
  struct sim_chip *c = u->chip;
  sim_line_send(&c->line, SIM_TO_HOST, u->in, u->in_len, 0, 0, sim_core_time(c));
  u->in_len = 0;
}

void sim_usj_flush(struct sim_chip *c) {
  if (c->usj.in_len == SIM_USJ_FIFO)
    packet(&c->usj);
}

static int room(const struct sim_usj *u) {
  return !ours(u->chip) || sim_line_pending(&u->chip->line, SIM_TO_HOST) < BACKLOG;
}

static void pull(struct sim_usj *u) {
  struct sim_chip *c = u->chip;
  if (u->out_at < u->out_len || !ours(c))
    return;
  u->out_at = 0;
  u->out_len = sim_line_take(&c->line, SIM_TO_CHIP, u->out, sizeof u->out, sim_core_time(c));
}

/* A host is there and hears: frames start, the FIFO to it is empty, a packet from it waits. */
static uint32_t events(struct sim_usj *u) {
  pull(u);
  return !ours(u->chip) ? 0
                        : 1u << 1 | (u->in_len == 0 ? 1u << 3 : 0) | (u->out_at < u->out_len ? 1u << 2 : 0);
}

int sim_usj_interrupt(const struct sim_usj *u) {
  return u->enabled && (events((struct sim_usj *)u) & u->enabled);
}

static int read_machine(struct sim_usj *u, uint32_t offset, uint32_t *value) {
  if (offset == INT_RAW || offset == INT_STATE)
    *value = events(u) & (offset == INT_RAW ? UINT32_MAX : u->enabled);
  else if (offset == INT_ENABLE)
    *value = u->enabled;
  else
    return 0;
  return 1;
}

int sim_usj_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_usj *u = ctx;
  if (u->chip->machine.on && u->chip->core.cpu && read_machine(u, offset, value))
    return 1;
  if (!u->chip->core.cpu || offset > EP1_CONF)
    return 0;
  pull(u);
  if (offset == EP1) {
    *value = u->out_at < u->out_len ? u->out[u->out_at++] : 0;
    sim_core_active(u->chip);
  } else {
    int waiting = u->out_at < u->out_len;
    if (!waiting)
      sim_core_idle(u->chip);
    *value = (room(u) ? IN_FREE : 0) | (waiting ? OUT_AVAILABLE : 0);
  }
  return 1;
}

int sim_usj_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_usj *u = ctx;
  if (u->chip->machine.on && offset == INT_ENABLE) {
    u->enabled = value;
    return 1;
  }
  if (!u->chip->core.cpu || offset > EP1_CONF)
    return 0;
  if (!ours(u->chip))
    return 1;
  if (offset == EP1 && u->in_len < SIM_USJ_FIFO) {
    u->in[u->in_len++] = (uint8_t)value;
    sim_core_active(u->chip);
  }
  if (u->in_len == SIM_USJ_FIFO || (offset == EP1_CONF && value & WR_DONE && u->in_len > 0))
    packet(u);
  return 1;
}
