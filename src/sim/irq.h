/* irq.h - the interrupt matrix and the controller behind it: which line of the processor is asserted. */
#ifndef SIM_IRQ_H
#define SIM_IRQ_H

#include "sim/cpu.h"

struct sim_chip;

/* Controllers: none; registers among those of the matrix (ESP32-C3); one per core (ESP32-C6); the standard's
 * CLIC; none behind the matrix, as Xtensa has enable bits of its own. */
enum { SIM_IRQ_NONE, SIM_IRQ_MATRIX, SIM_IRQ_PLIC, SIM_IRQ_CLIC, SIM_IRQ_DIRECT };
enum { SIM_IRQ_UART0, SIM_IRQ_USJ, SIM_IRQ_DEVICES };
enum { SIM_IRQ_SOURCES = 160, SIM_IRQ_LINES = 64 };

struct sim_irq_layout {
  int kind;
  uint32_t matrix;                      /* address of the matrix: a word per source */
  uint32_t control;                     /* address of the controller */
  uint32_t enable, priority, threshold; /* offsets in it */
  uint32_t source[SIM_IRQ_DEVICES];     /* number of a device's interrupt */
};

struct sim_irq {
  struct sim_chip *chip;
  uint32_t map[SIM_IRQ_SOURCES];
  int soon;         /* one is on its way */
  uint32_t offered; /* CLIC: the line that the processor is offered; 0: none */
  uint32_t enabled, threshold, priority[SIM_IRQ_LINES];
};

void sim_irq_reset(struct sim_irq *q);

/* Tells the processor what is asserted now. */
void sim_irq_update(struct sim_chip *c);

/* What cpu->choose asks for, with a CLIC. */
bool sim_irq_choose(void *irq, struct cpu *c, struct cpu_irq *out);

/* After a register was written: what is not asserted any more is taken back at once, but a new interrupt
 * takes some instructions to arrive. The ROM counts on that when it switches from one UART to another. */
void sim_irq_written(struct sim_chip *c);

/* A register was read: who takes the last byte out of a FIFO has no interrupt any more. */
void sim_irq_was_read(struct sim_chip *c);

int sim_irq_map_read(void *irq, uint32_t offset, uint32_t *value);
int sim_irq_map_write(void *irq, uint32_t offset, uint32_t value);
int sim_irq_read(void *irq, uint32_t offset, uint32_t *value);
int sim_irq_write(void *irq, uint32_t offset, uint32_t value);

#endif
