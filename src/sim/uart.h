/* uart.h - the UART: its rate and the registers that tell it. */
#ifndef SIM_UART_H
#define SIM_UART_H

#include <stdint.h>

struct sim_uart_layout {
  uint32_t base, clkdiv, date; /* offsets of registers; date 0: none */
  double clock;                /* Hz that the divider really divides */
  double rom_clock;            /* Hz that the ROM believes it divides */
  uint32_t date_value;
};

struct sim_uart {
  struct sim_uart_layout at;
  uint32_t clkdiv; /* bits 0..19 whole part, 20..23 sixteenths */
};

void sim_uart_init(struct sim_uart *u, const struct sim_uart_layout *at);

/* Bits per second on the line. */
double sim_uart_baud(const struct sim_uart *u);

/* Sets the divider so that the line runs at baud by a divided clock of clock Hz. */
void sim_uart_divide(struct sim_uart *u, double clock, double baud);

/* Register access for the bus: 0 when the offset is none of ours. */
int sim_uart_read(void *uart, uint32_t offset, uint32_t *value);
int sim_uart_write(void *uart, uint32_t offset, uint32_t value);

#endif
