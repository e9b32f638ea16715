/* uart.c - the UART's rate. Source: Technical Reference Manuals, "UART Controller". */
#include "sim/uart.h"

void sim_uart_init(struct sim_uart *u, const struct sim_uart_layout *at) {
  *u = (struct sim_uart){.at = *at};
}

double sim_uart_baud(const struct sim_uart *u) {
  double divider = (u->clkdiv & 0xFFFFF) + (u->clkdiv >> 20 & 0xF) / 16.0;
  return divider < 1 ? u->at.clock : u->at.clock / divider;
}

void sim_uart_divide(struct sim_uart *u, double clock, double baud) {
  double sixteenths = baud >= 1 ? clock * 16 / baud : 0;
  uint32_t n = sixteenths >= 16 && sixteenths < 16777216.0 ? (uint32_t)sixteenths : 16;
  u->clkdiv = (n >> 4 & 0xFFFFF) | (n & 0xF) << 20;
}

int sim_uart_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_uart *u = ctx;
  if (offset == u->at.clkdiv)
    *value = u->clkdiv;
  else if (u->at.date && offset == u->at.date)
    *value = u->at.date_value;
  else
    return 0;
  return 1;
}

int sim_uart_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_uart *u = ctx;
  if (offset == u->at.clkdiv)
    u->clkdiv = value & 0xFFFFFF;
  else if (!u->at.date || offset != u->at.date)
    return 0;
  return 1;
}
