/* uart_fifo.c - the UART's FIFOs. */
#include "sim/uart_fifo.h"

#include "sim/chip.h"

#include <math.h>

enum { BACKLOG = 65536 }; /* bytes that the host has not read, before it counts as one that does not read */
enum {
  RAW_FULL = 1 << 0,
  RAW_EMPTY = 1 << 1,
  RAW_OVERFLOW = 1 << 4,
  RAW_TIMEOUT = 1 << 8,
  RAW_DONE = 1 << 14
};

static int ours(const struct sim_chip *c) {
  return c->config.link == SIM_LINK_UART;
}

void sim_uart_start(struct sim_uart *u) {
  u->rx_head = u->rx_count = u->raw = u->enabled = u->auto_word = u->edges = 0;
  u->conf1 = 0x60;
  u->tx_len = 0;
  u->unfinished = 0;
  u->tx_free = 0;
  u->pulled = 0;
}

/* Edges of a byte on the line: start bit, eight from the lowest, stop bit. */
static uint32_t edges_of(uint8_t byte) {
  uint32_t bits = 1u | (uint32_t)byte << 2 | 1u << 10, n = 0;
  for (; bits > 1; bits >>= 1)
    n += (bits ^ bits >> 1) & 1;
  return n;
}

static void push(struct sim_uart *u, uint8_t byte) {
  if (sim_uart_measures(u) && u->edges < 1023)
    u->edges += edges_of(byte);
  if (u->rx_count == SIM_UART_FIFO)
    u->raw |= RAW_OVERFLOW;
  else
    u->rx[(u->rx_head + u->rx_count++) % SIM_UART_FIFO] = byte;
}

/* However fast the line, the program gets some instructions per byte: it must be able to keep up. The ROM
 * takes every byte by an interrupt, into a ring of 2 KiB; those of Xtensa do not look whether theirs of 256
 * bytes is full. This is about 1 Mbit/s at the crystal's clock. */
enum { CYCLES_PER_BYTE = 48 };

static size_t allowed(struct sim_uart *u) {
  uint32_t each = u->chip->machine.on ? SIM_UART_GAP : CYCLES_PER_BYTE;
  uint64_t now = u->chip->core.cpu->cycles, n = (now - u->pulled) / each;
  size_t room = SIM_UART_FIFO - u->rx_count;
  if (n > 0)
    u->pulled = n < room ? u->pulled + n * each : now;
  return n < room ? (size_t)n : room;
}

/* Takes off the line what has arrived. */
static void pull(struct sim_uart *u) {
  struct sim_chip *c = u->chip;
  uint8_t part[SIM_UART_FIFO];
  size_t n;
  if (!ours(c))
    return;
  do {
    size_t max = c->config.line_model.paced ? sizeof part : allowed(u);
    n = sim_line_take(&c->line, SIM_TO_CHIP, part, max, sim_core_time(c));
    for (size_t i = 0; i < n; i++)
      push(u, part[i]);
    if (n < max) /* the next one comes when it comes, not together with those that did not */
      u->pulled = c->core.cpu->cycles;
  } while (n == sizeof part && c->config.line_model.paced);
}

uint32_t sim_uart_get(struct sim_uart *u) {
  pull(u);
  if (u->rx_count == 0)
    return 0;
  uint8_t byte = u->rx[u->rx_head];
  u->rx_head = (u->rx_head + 1) % SIM_UART_FIFO;
  u->rx_count--;
  sim_core_active(u->chip);
  return byte;
}

int sim_uart_sending(const struct sim_uart *u) {
  return u->chip->config.line_model.paced && u->tx_free > sim_core_time(u->chip);
}

/* Bytes behind the one that is being sent. */
static uint32_t tx_count(const struct sim_uart *u) {
  if (!ours(u->chip))
    return 0;
  if (!u->chip->config.line_model.paced)
    return sim_line_pending(&u->chip->line, SIM_TO_HOST) < BACKLOG ? 0 : SIM_UART_FIFO;
  if (!sim_uart_sending(u))
    return 0;
  double n = ceil((u->tx_free - sim_core_time(u->chip)) * sim_uart_baud(u) / 10 - 1e-6);
  return n < 1 ? 0 : n > SIM_UART_FIFO + 1 ? SIM_UART_FIFO : (uint32_t)n - 1;
}

void sim_uart_put(struct sim_uart *u, uint8_t byte) {
  struct sim_chip *c = u->chip;
  double now = sim_core_time(c);
  if (!ours(c) || tx_count(u) >= SIM_UART_FIFO)
    return; /* nobody listens, or there is no room: lost */
  if (u->tx_len == sizeof u->tx)
    sim_uart_flush(c);
  if (u->tx_len == 0)
    u->tx_from = now;
  u->tx[u->tx_len++] = byte;
  u->unfinished = 1;
  u->tx_free = (u->tx_free > now ? u->tx_free : now) + 10 / sim_uart_baud(u);
  sim_core_active(c);
}

void sim_uart_flush(struct sim_chip *c) {
  struct sim_uart *u = &c->uart;
  if (u->tx_len > 0)
    sim_line_send(&c->line, SIM_TO_HOST, u->tx, u->tx_len, sim_uart_baud(u), c->host_baud, u->tx_from);
  u->tx_len = 0;
}

static int arrived(const struct sim_chip *c) {
  double in = ours(c) ? sim_line_next(&c->line, SIM_TO_CHIP) : -1;
  return in >= 0 && in <= sim_core_time(c);
}

uint32_t sim_uart_status(struct sim_uart *u) {
  pull(u);
  if (u->rx_count == 0 && !arrived(u->chip))
    sim_core_idle(u->chip);
  uint32_t status = u->rx_count | tx_count(u) << 16;
  if (u->at.layout == SIM_UART_ESP32 && sim_uart_sending(u))
    status |= 1u << 24;
  return status;
}

uint32_t sim_uart_edges(struct sim_uart *u) {
  pull(u);
  if (u->edges == 0)
    sim_core_idle(u->chip);
  return u->edges < 1023 ? u->edges : 1023;
}

void sim_uart_control(struct sim_uart *u, uint32_t word) {
  if (word & u->at.rx_reset)
    u->rx_head = u->rx_count = 0;
}

int sim_uart_interrupt(struct sim_uart *u) {
  return u->enabled && (sim_uart_events(u) & u->enabled);
}

/* How many bytes make a full FIFO. */
static uint32_t full_at(const struct sim_uart *u) {
  uint32_t n = u->conf1 & 0x7F;
  return !u->chip->machine.on ? 97 : n ? n : 1;
}

/* Whether more bytes come at once: the line has not fallen silent. */
static int hurries(const struct sim_uart *u) {
  return u->chip->machine.on && !u->chip->config.line_model.paced && u->rx_count < SIM_UART_FIFO &&
         arrived(u->chip);
}

int sim_uart_soon(const struct sim_uart *u) {
  return u->enabled && hurries(u);
}

uint32_t sim_uart_events(struct sim_uart *u) {
  pull(u);
  if (u->unfinished && !sim_uart_sending(u)) { /* seen once, when the last byte has left */
    u->raw |= RAW_DONE;
    u->unfinished = 0;
  }
  uint32_t raw = u->raw;
  if (u->rx_count)
    raw |= (hurries(u) ? 0 : RAW_TIMEOUT) | (u->rx_count >= full_at(u) ? RAW_FULL : 0);
  if (tx_count(u) == 0)
    raw |= RAW_EMPTY;
  return raw;
}

double sim_uart_drained(struct sim_chip *c) {
  struct sim_uart *u = &c->uart;
  if (!sim_uart_sending(u))
    return -1;
  double byte = 10 / sim_uart_baud(u), now = sim_core_time(c), soon = now + 8 * byte,
         last = u->tx_free - byte;
  if (last > now && last < soon) /* the FIFO is empty, its last byte is still being sent: both can be seen */
    soon = last;
  return soon < u->tx_free ? soon : u->tx_free;
}

double sim_link_waiting(struct sim_chip *c) {
  int full = c->config.link == SIM_LINK_USJ
                 ? c->usj.out_at < c->usj.out_len
                 : !c->config.line_model.paced && c->uart.rx_count == SIM_UART_FIFO;
  return full ? -1 : sim_line_next(&c->line, SIM_TO_CHIP);
}
