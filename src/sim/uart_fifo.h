/* uart_fifo.h - the UART's FIFOs of 128 bytes. On a paced line bytes arrive and leave at its rate, and what
 * does not fit is lost; otherwise the host is held back, and what is written has gone. */
#ifndef SIM_UART_FIFO_H
#define SIM_UART_FIFO_H

#include "sim/uart.h"

enum { SIM_UART_GAP = 400 }; /* cycles from one byte to the next, for a ROM on a line that is not paced */

uint32_t sim_uart_get(struct sim_uart *u);
void sim_uart_put(struct sim_uart *u, uint8_t byte);
uint32_t sim_uart_status(struct sim_uart *u);
uint32_t sim_uart_events(struct sim_uart *u);

/* For a chip that runs its ROM: edges heard, bits of the word that resets the FIFOs, whether an interrupt is
 * wanted. */
uint32_t sim_uart_edges(struct sim_uart *u);
void sim_uart_control(struct sim_uart *u, uint32_t word);
int sim_uart_interrupt(struct sim_uart *u);

/* Whether an interrupt comes without any time passing but that of the processor. */
int sim_uart_soon(const struct sim_uart *u);
int sim_uart_sending(const struct sim_uart *u);

#endif
