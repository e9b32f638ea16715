/* uart.c - the UART's rate and registers. Source: Technical Reference Manuals, "UART Controller". */
#include "sim/uart.h"

#include "sim/chip.h"
#include "sim/uart_fifo.h"

enum {
  FIFO = 0x00,
  INT_RAW = 0x04,
  INT_STATE = 0x08,
  INT_ENABLE = 0x0C,
  INT_CLEAR = 0x10,
  STATUS = 0x1C,
  CONF0 = 0x20,
  CONF1 = 0x24,
  REG_UPDATE = 0x98
};

void sim_uart_init(struct sim_uart *u, const struct sim_uart_layout *at, struct sim_chip *chip) {
  *u = (struct sim_uart){.at = *at, .chip = chip};
}

/* The divider's sixteenths, which the ESP8266 does not have. */
static uint32_t sixteenths_of(const struct sim_uart *u, uint32_t clkdiv) {
  return u->at.layout == SIM_UART_ESP8266 ? 0 : clkdiv >> 20 & 0xF;
}

double sim_uart_baud(const struct sim_uart *u) {
  double divider = (u->clkdiv & 0xFFFFF) + sixteenths_of(u, u->clkdiv) / 16.0;
  return divider < 1 ? u->at.clock : u->at.clock / divider;
}

void sim_uart_divide(struct sim_uart *u, double clock, double baud) {
  double sixteenths = baud >= 1 ? clock * 16 / baud : 0;
  uint32_t n = sixteenths >= 16 && sixteenths < 16777216.0 ? (uint32_t)sixteenths : 16;
  if (u->at.layout == SIM_UART_ESP8266)
    n = (n + 8) & ~15u;
  u->clkdiv = u->clkdiv_written = (n >> 4 & 0xFFFFF) | (n & 0xF) << 20;
}

int sim_uart_measures(const struct sim_uart *u) {
  return u->at.auto_count && u->auto_word >> u->at.auto_bit & 1;
}

/* Cycles of the UART's clock in a bit. Who sends without a rate is taken to send at that of the boot log. */
static uint32_t pulse(const struct sim_uart *u) {
  double baud = u->chip->host_baud > 0 ? u->chip->host_baud : u->chip->config.boot_baud;
  double n = u->edges ? u->at.clock / baud - u->at.auto_short : 0xFFF;
  return n > 0xFFF ? 0xFFF : (uint32_t)(n + 0.5);
}

/* What only a chip that runs its ROM sees. */
static int read_machine(struct sim_uart *u, uint32_t offset, uint32_t *value) {
  if (offset == INT_STATE)
    *value = sim_uart_events(u) & u->enabled;
  else if (offset == INT_ENABLE)
    *value = u->enabled;
  else if (offset == CONF1)
    *value = u->conf1;
  else if (offset == CONF0)
    *value = u->conf0;
  else if (!u->at.auto_count)
    return 0;
  else if (offset == u->at.auto_conf)
    *value = u->auto_word;
  else if (offset == u->at.auto_low || offset == u->at.auto_high)
    *value = pulse(u);
  else if (offset == u->at.auto_count)
    *value = sim_uart_edges(u);
  else
    return 0;
  return 1;
}

static int write_machine(struct sim_uart *u, uint32_t offset, uint32_t value) {
  int before = sim_uart_measures(u);
  if (offset == CONF0) {
    u->conf0 = value;
    sim_uart_control(u, value);
    if (u->at.auto_conf != CONF0)
      return 1;
  }
  if (offset == INT_ENABLE) {
    u->enabled = value;
  } else if (offset == CONF1) {
    u->conf1 = value;
  } else if (u->at.auto_count && offset == u->at.auto_conf) {
    u->auto_word = value;
    if (!before && sim_uart_measures(u))
      u->edges = 0;
  } else {
    return 0;
  }
  return 1;
}

/* What only a running program sees. */
static int read_live(struct sim_uart *u, uint32_t offset, uint32_t *value) {
  if (offset == FIFO)
    *value = sim_uart_get(u);
  else if (offset == INT_RAW)
    *value = sim_uart_events(u);
  else if (offset == STATUS)
    *value = sim_uart_status(u);
  else if (u->at.fsm && offset == u->at.fsm)
    *value = sim_uart_sending(u) ? 0x10 : 0;
  else if (offset == REG_UPDATE && u->at.layout == SIM_UART_SYNCED)
    *value = 0;
  else
    return 0;
  return 1;
}

int sim_uart_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_uart *u = ctx;
  if (u->chip && u->chip->core.cpu && read_live(u, offset, value))
    return 1;
  if (u->chip && u->chip->machine.on && read_machine(u, offset, value))
    return 1;
  if (offset == u->at.clkdiv)
    *value = u->clkdiv_written;
  else if (u->at.date && offset == u->at.date)
    *value = u->at.date_value;
  else
    return 0;
  return 1;
}

/* What was written before the change goes out at the old rate. */
static void change_rate(struct sim_uart *u) {
  if (u->chip)
    sim_uart_flush(u->chip);
  u->clkdiv = u->clkdiv_written;
}

/* What has happened before is cleared, too, though nobody has looked: the ESP32's ROM clears the end of
 * sending, and would wait for ever for that bit to go when it came afterwards. */
static void clear_events(struct sim_uart *u, uint32_t which) {
  sim_uart_events(u);
  u->raw &= ~which;
}

static int write_live(struct sim_uart *u, uint32_t offset, uint32_t value) {
  if (offset == FIFO)
    sim_uart_put(u, (uint8_t)value);
  else if (offset == INT_CLEAR)
    clear_events(u, value);
  else if (offset == REG_UPDATE && u->at.layout == SIM_UART_SYNCED)
    change_rate(u);
  else
    return 0;
  return 1;
}

int sim_uart_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_uart *u = ctx;
  int live = u->chip && u->chip->core.cpu;
  if (live && write_live(u, offset, value))
    return 1;
  if (live && u->chip->machine.on && write_machine(u, offset, value))
    return 1;
  if (offset == u->at.clkdiv) {
    u->clkdiv_written = value & 0xFFFFFF;
    if (!live || u->at.layout != SIM_UART_SYNCED)
      change_rate(u);
    return 1;
  }
  return u->at.date && offset == u->at.date;
}
