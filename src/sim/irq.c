/* irq.c - the interrupt matrix and its controllers. Source: Technical Reference Manuals, "Interrupt Matrix",
 * "RISC-V CPU: Interrupt Controller", "Core Local Interrupt Controller". Every interrupt is taken as one by
 * level. */
#include "sim/irq.h"

#include "sim/chip.h"
#include "sim/uart_fifo.h"

#include <string.h>

enum { CLIC_THRESHOLD = 0x8, CLIC_LINES = 0x1000 };
enum { NOWHERE = 16 }; /* an input of Xtensa that belongs to one of its timers */

void sim_irq_reset(struct sim_irq *q) {
  for (int i = 0; i < SIM_IRQ_SOURCES; i++)
    q->map[i] = q->chip->config.machine.irq.kind == SIM_IRQ_DIRECT ? NOWHERE : 0;
  memset(q->priority, 0, sizeof q->priority);
  q->enabled = q->threshold = 0;
  q->soon = 0;
  q->offered = 0;
}

static int asserted(struct sim_chip *c, int device) {
  return device == SIM_IRQ_UART0 ? sim_uart_interrupt(&c->uart) : sim_usj_interrupt(&c->usj);
}

/* Without a controller the matrix leads to the processor's inputs. */
static uint32_t inputs(struct sim_chip *c) {
  const struct sim_irq_layout *l = &c->config.machine.irq;
  uint32_t lines = 0;
  for (int i = 0; i < SIM_IRQ_DEVICES; i++)
    if (l->source[i] < SIM_IRQ_SOURCES && asserted(c, i))
      lines |= 1u << (c->machine.irq.map[l->source[i]] & 31);
  return lines;
}

/* The word of a line: enabled, through a table or not, level. */
static int clic_enabled(uint32_t word) {
  return (int)(word >> 8 & 1);
}

static uint32_t clic_line(struct sim_chip *c) {
  struct sim_irq *q = &c->machine.irq;
  const struct sim_irq_layout *l = &c->config.machine.irq;
  uint32_t best = 0;
  for (int i = 0; i < SIM_IRQ_DEVICES; i++) {
    uint32_t line = l->source[i] < SIM_IRQ_SOURCES ? q->map[l->source[i]] % SIM_IRQ_LINES : 0;
    if (line && clic_enabled(q->priority[line]) &&
        (!best || q->priority[line] >> 24 > q->priority[best] >> 24) && asserted(c, i))
      best = line;
  }
  return best;
}

bool sim_irq_choose(void *ctx, struct cpu *c, struct cpu_irq *out) {
  struct sim_irq *q = ctx;
  uint32_t word = q->priority[q->offered];
  (void)c;
  *out = (struct cpu_irq){(uint16_t)q->offered, (uint8_t)(word >> 24), word >> 16 & 1};
  return q->offered != 0;
}

static uint32_t pending(struct sim_chip *c) {
  struct sim_irq *q = &c->machine.irq;
  const struct sim_irq_layout *l = &c->config.machine.irq;
  if (l->kind == SIM_IRQ_DIRECT)
    return inputs(c);
  uint32_t best = 0, priority = 0;
  for (int i = 0; i < SIM_IRQ_DEVICES && l->kind && q->enabled; i++) {
    uint32_t line = l->source[i] < SIM_IRQ_SOURCES ? q->map[l->source[i]] & 31 : 0;
    if (!line || !(q->enabled >> line & 1) || q->priority[line] < q->threshold ||
        q->priority[line] <= priority)
      continue;
    if (asserted(c, i))
      best = line, priority = q->priority[line];
  }
  return best ? 1u << best : 0;
}

static void offer(struct sim_chip *c, uint32_t line) {
  if (c->machine.irq.offered != line)
    cpu_look(c->core.cpu);
  c->machine.irq.offered = line;
}

void sim_irq_update(struct sim_chip *c) {
  c->machine.irq.soon = 0;
  if (c->config.machine.irq.kind == SIM_IRQ_CLIC) {
    offer(c, clic_line(c));
    return;
  }
  cpu_lines(c->core.cpu, pending(c));
}

void sim_irq_written(struct sim_chip *c) {
  if (c->config.machine.irq.kind == SIM_IRQ_CLIC) {
    uint32_t line = clic_line(c);
    if (line && line != c->machine.irq.offered) {
      c->machine.irq.soon = 1;
      cpu_bus_yield(c->core.bus);
    }
    offer(c, line == c->machine.irq.offered ? line : 0);
    return;
  }
  uint32_t lines = pending(c);
  if (lines & ~c->core.cpu->lines) {
    c->machine.irq.soon = 1;
    cpu_bus_yield(c->core.bus);
  }
  cpu_lines(c->core.cpu, lines & c->core.cpu->lines);
}

void sim_irq_was_read(struct sim_chip *c) {
  struct sim_irq *q = &c->machine.irq;
  if (c->config.machine.irq.kind == SIM_IRQ_CLIC) {
    if (q->offered && clic_line(c) != q->offered)
      offer(c, 0);
  } else if (c->core.cpu->lines) {
    cpu_lines(c->core.cpu, pending(c) & c->core.cpu->lines);
  }
}

int sim_irq_map_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_irq *q = ctx;
  if (offset / 4 >= SIM_IRQ_SOURCES)
    return 0;
  *value = q->map[offset / 4];
  return 1;
}

int sim_irq_map_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_irq *q = ctx;
  if (offset / 4 >= SIM_IRQ_SOURCES)
    return 0;
  q->map[offset / 4] = value;
  return 1;
}

/* The register of a controller that has a word for all enable bits and one per priority. */
static uint32_t *named(struct sim_irq *q, uint32_t offset) {
  const struct sim_irq_layout *l = &q->chip->config.machine.irq;
  if (l->kind == SIM_IRQ_DIRECT)
    return NULL;
  if (l->kind == SIM_IRQ_CLIC)
    return offset == CLIC_THRESHOLD ? &q->threshold
           : offset >= CLIC_LINES && offset < CLIC_LINES + 4 * SIM_IRQ_LINES
               ? &q->priority[(offset - CLIC_LINES) / 4]
               : NULL;
  if (offset == l->enable)
    return &q->enabled;
  if (offset == l->threshold)
    return &q->threshold;
  uint32_t line = (offset - l->priority) / 4;
  return offset >= l->priority && line < 32 ? &q->priority[line] : NULL;
}

/* The words of the matrix may stand before those of the controller. */
static int shared(const struct sim_irq *q, uint32_t offset) {
  const struct sim_irq_layout *l = &q->chip->config.machine.irq;
  return l->matrix == l->control && (l->kind == SIM_IRQ_DIRECT || offset < l->enable);
}

int sim_irq_read(void *ctx, uint32_t offset, uint32_t *value) {
  uint32_t *r = named(ctx, offset);
  if (r)
    *value = *r;
  return r != NULL || (shared(ctx, offset) && sim_irq_map_read(ctx, offset, value));
}

int sim_irq_write(void *ctx, uint32_t offset, uint32_t value) {
  uint32_t *r = named(ctx, offset);
  if (r)
    *r = value;
  return r != NULL || (shared(ctx, offset) && sim_irq_map_write(ctx, offset, value));
}
