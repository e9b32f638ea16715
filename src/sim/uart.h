/* uart.h - the UART: its rate and the registers that tell it; and, for a program, its FIFOs. */
#ifndef SIM_UART_H
#define SIM_UART_H

#include <stddef.h>
#include <stdint.h>

struct sim_chip;

enum { SIM_UART_ESP8266, SIM_UART_ESP32, SIM_UART_PLAIN, SIM_UART_SYNCED };
enum { SIM_UART_FIFO = 128, SIM_UART_OUT = 512 };

struct sim_uart_layout {
  uint32_t base, clkdiv, date; /* offsets of registers; date 0: none */
  double clock;                /* Hz that the divider really divides */
  double rom_clock;            /* Hz that the ROM believes it divides */
  uint32_t date_value;
  int layout;    /* SIM_UART_... */
  uint32_t fsm;  /* offset of the state of the transmitter; 0: in the status register */
  uint32_t fifo; /* a second address of the FIFO; 0: none */
  /* measuring the rate: the word and bit that switch it on, the shortest pulses, the edges; count 0: none */
  uint32_t auto_conf, auto_bit, auto_low, auto_high, auto_count;
  uint32_t auto_short; /* cycles by which pulses are measured too short */
  uint32_t rx_reset;   /* bits of the same word that empty the FIFO */
};

struct sim_uart {
  struct sim_uart_layout at;
  struct sim_chip *chip;
  uint32_t clkdiv;         /* bits 0..19 whole part, 20..23 sixteenths */
  uint32_t clkdiv_written; /* takes effect when asked for (SIM_UART_SYNCED) */
  uint32_t raw;            /* interrupts that have happened */
  uint32_t enabled;        /* interrupts that reach the processor */
  int unfinished;          /* bytes were sent whose end was not noticed yet */
  uint32_t conf0, conf1, auto_word;
  uint32_t edges; /* seen since measuring was switched on */
  uint8_t rx[SIM_UART_FIFO];
  uint32_t rx_head, rx_count;
  uint64_t pulled;          /* cycle up to which bytes were taken off a line that is not paced */
  uint8_t tx[SIM_UART_OUT]; /* written, and not on the line yet */
  size_t tx_len;
  double tx_from; /* when the first of them was written */
  double tx_free; /* when the line is idle again */
};

void sim_uart_init(struct sim_uart *u, const struct sim_uart_layout *at, struct sim_chip *chip);

/* Bits per second on the line. */
double sim_uart_baud(const struct sim_uart *u);

/* Sets the divider so that the line runs at baud by a divided clock of clock Hz. */
void sim_uart_divide(struct sim_uart *u, double clock, double baud);

/* Whether it is measuring the rate of what it hears, which it understands then at any. */
int sim_uart_measures(const struct sim_uart *u);

/* For a program that begins: the FIFOs are empty. */
void sim_uart_start(struct sim_uart *u);

/* Puts on the line what was written. */
void sim_uart_flush(struct sim_chip *c);

/* When the transmitter has room again or is done; < 0: it has nothing to do. */
double sim_uart_drained(struct sim_chip *c);

/* When the next byte can be taken by the program: of whichever link it has; < 0: none is under way. */
double sim_link_waiting(struct sim_chip *c);

/* Register access for the bus: 0 when the offset is none of ours. */
int sim_uart_read(void *uart, uint32_t offset, uint32_t *value);
int sim_uart_write(void *uart, uint32_t offset, uint32_t value);

#endif
