/* snapshot.c - the whole state of a simulated chip. */
#include "sim/snapshot.h"

#include "sim/chip.h"
#include "sim/cpu_rv32.h"
#include "sim/cpu_xtensa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct page {
  uint32_t addr;
  uint8_t data[SIM_PAGE];
};

struct sim_snapshot {
  struct sim_mark *of;
  struct sim_chip chip; /* its pointers are not followed */
  struct page *mem;
  size_t mems;
  struct cells {
    struct page *page;
    size_t pages;
  } flash, nand;
  void *cpu; /* NULL: no program ran */
  void *stream;
  uint8_t *window;
  struct {
    uint8_t *data, *frame;
    struct sim_burst *burst;
  } pipe[2];
};

static size_t cpu_size(const struct sim_chip *c) {
  return sim_core_is_riscv(c->config.core.kind) ? sizeof(struct rv32) : sizeof(struct xtensa);
}

static void *copy(const void *from, size_t n) {
  void *to = malloc(n > 0 ? n : 1);
  if (to && n > 0)
    memcpy(to, from, n);
  return to;
}

void sim_snapshot_free(struct sim_snapshot *s) {
  if (!s)
    return;
  for (int d = 0; d < 2; d++) {
    free(s->pipe[d].data);
    free(s->pipe[d].frame);
    free(s->pipe[d].burst);
  }
  if (s->stream)
    inflateEnd(s->stream);
  free(s->stream);
  free(s->window);
  free(s->mem);
  free(s->flash.page);
  free(s->nand.page);
  free(s->cpu);
  sim_mark_drop(s->of);
  free(s);
}

static int take_cells(struct cells *to, const struct sim_flash *from) {
  size_t n = 0, pages = from->page ? from->size / SIM_SECTOR : 0;
  for (size_t i = 0; i < pages; i++)
    to->pages += from->page[i] != NULL;
  to->page = malloc((to->pages + 1) * sizeof *to->page);
  if (!to->page)
    return -1;
  for (size_t i = 0; i < pages; i++)
    if (from->page[i]) {
      to->page[n].addr = (uint32_t)i;
      memcpy(to->page[n++].data, from->page[i], SIM_PAGE);
    }
  return 0;
}

static int take_memory(struct sim_snapshot *s, struct sim_chip *c) {
  size_t n = 0;
  s->mem = malloc((c->bus.mem.used + 1) * sizeof *s->mem);
  if (!s->mem)
    return -1;
  for (uint32_t addr; sim_mem_next(&c->bus.mem, &n, &addr);) {
    s->mem[s->mems].addr = addr;
    memcpy(s->mem[s->mems++].data, sim_mem_page(&c->bus.mem, addr, 0), SIM_PAGE);
  }
  return take_cells(&s->flash, &c->flash) || take_cells(&s->nand, &c->nand.cells) ? -1 : 0;
}

static int take_line(struct sim_snapshot *s, const struct sim_chip *c) {
  for (int d = 0; d < 2; d++) {
    const struct sim_pipe *p = &c->line.pipe[d];
    s->pipe[d].data = copy(p->data, p->cap);
    s->pipe[d].frame = copy(p->frame, p->frame_cap);
    s->pipe[d].burst = copy(p->burst, p->burst_cap * sizeof *p->burst);
    if (!s->pipe[d].data || !s->pipe[d].frame || !s->pipe[d].burst)
      return -1;
  }
  return 0;
}

/* A stream that is being inflated, and its window. */
static int copy_stream(void **stream, uint8_t **window, void *from, const uint8_t *from_window) {
  *stream = NULL;
  *window = from_window ? copy(from_window, SIM_WINDOW) : NULL;
  if (from_window && !*window)
    return -1;
  if (!from)
    return 0;
  z_stream *z = calloc(1, sizeof *z);
  if (!z || inflateCopy(z, from) != Z_OK) {
    free(z);
    return -1;
  }
  *stream = z;
  return 0;
}

struct sim_snapshot *sim_snapshot_take(struct sim_chip *c, char *error, size_t error_size) {
  int whole = c->flash.page && (!c->nand.present || c->nand.cells.page);
  const char *why = whole ? "there is no memory for it" : "its flash is a file";
  struct sim_snapshot *s = whole ? calloc(1, sizeof *s) : NULL;
  int failed = !s;
  if (s) {
    s->of = sim_mark_hold(c->mark);
    s->chip = *c;
    s->cpu = c->core.cpu ? copy(c->core.cpu, cpu_size(c)) : NULL;
    failed = (c->core.cpu && !s->cpu) || take_memory(s, c) != 0 || take_line(s, c) != 0 ||
             copy_stream(&s->stream, &s->window, c->loader.inflate, c->loader.window) != 0;
  }
  if (!failed)
    return s;
  snprintf(error, error_size, "the state of the simulated chip cannot be saved: %s", why);
  sim_snapshot_free(s);
  return NULL;
}

int sim_snapshot_of(const struct sim_snapshot *s, const struct sim_chip *c) {
  return s->of == c->mark;
}

/* Bytes under way. The buffers have only grown since. */
static void load_line(struct sim_chip *c, const struct sim_snapshot *s, const struct sim_line *now) {
  for (int d = 0; d < 2; d++) {
    struct sim_pipe *p = &c->line.pipe[d];
    const struct sim_pipe *then = &s->chip.line.pipe[d], *have = &now->pipe[d];
    p->data = have->data, p->cap = have->cap, p->head = 0;
    p->burst = have->burst, p->burst_cap = have->burst_cap;
    p->frame = have->frame, p->frame_cap = have->frame_cap;
    for (size_t i = 0; i < then->count; i++)
      p->data[i] = s->pipe[d].data[(then->head + i) & (then->cap - 1)];
    if (then->bursts)
      memcpy(p->burst, s->pipe[d].burst, then->bursts * sizeof *p->burst);
    if (then->frame_len)
      memcpy(p->frame, s->pipe[d].frame, then->frame_len);
  }
}

static int load_cells(struct sim_flash *to, const struct cells *from) {
  size_t pages = to->page ? to->size / SIM_SECTOR : 0, n = 0;
  for (size_t i = 0; i < pages; i++) {
    int there = n < from->pages && from->page[n].addr == i;
    if (!there) {
      free(to->page[i]);
      to->page[i] = NULL;
    } else if (to->page[i] || (to->page[i] = malloc(SIM_PAGE))) {
      memcpy(to->page[i], from->page[n++].data, SIM_PAGE);
    } else {
      return -1;
    }
  }
  return 0;
}

static int load_memory(struct sim_chip *c, const struct sim_snapshot *s) {
  for (size_t i = 0; i < s->mems; i++) {
    uint8_t *page = sim_mem_page(&c->bus.mem, s->mem[i].addr, 1);
    if (!page)
      return -1;
    memcpy(page, s->mem[i].data, SIM_PAGE);
  }
  return load_cells(&c->flash, &s->flash) || load_cells(&c->nand.cells, &s->nand) ? -1 : 0;
}

int sim_snapshot_load(struct sim_chip *c, const struct sim_snapshot *s) {
  sim_core_stop(c);
  sim_loader_free(c);
  sim_mem_free(&c->bus.mem);
  struct sim_chip now = *c; /* what it owns */
  *c = s->chip;
  c->bus.mem = now.bus.mem;
  c->flash = now.flash;
  c->nand.cells = now.nand.cells;
  c->efuse.path = now.efuse.path;
  c->log = now.log, c->log_count = now.log_count;
  c->machine.file = now.machine.file;
  c->core.cpu = NULL, c->core.bus = NULL;
  load_line(c, s, &now.line);
  int failed = copy_stream(&c->loader.inflate, &c->loader.window, s->stream, s->window) != 0;
  if (load_memory(c, s) != 0 || failed) {
    c->state = SIM_STATE_HUNG;
    return -1;
  }
  return s->cpu ? sim_core_resume(c, s->cpu, s->chip.core.cpu) : 0;
}
