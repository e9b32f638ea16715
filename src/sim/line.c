/* line.c - the wire between host and chip. */
#include "sim/line.h"

#include "sim/garble.h"

#include <stdlib.h>
#include <string.h>

enum { FRAME_MAX = 65536, GARBLE = 1024 };

void sim_line_init(struct sim_line *l, const struct sim_line_config *config) {
  *l = (struct sim_line){.config = *config};
  for (int d = 0; d < 2; d++)
    l->pipe[d].random = config->seed * 2 + (uint64_t)d + 1;
}

void sim_line_free(struct sim_line *l) {
  for (int d = 0; d < 2; d++) {
    free(l->pipe[d].data);
    free(l->pipe[d].burst);
    free(l->pipe[d].frame);
    l->pipe[d] = (struct sim_pipe){0};
  }
}

/* splitmix64, as a number from 0 to 1. */
static double draw(struct sim_pipe *p) {
  uint64_t z = p->random += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

static int reserve(struct sim_pipe *p, size_t n) {
  if (p->count + n > p->cap) {
    size_t cap = p->cap ? p->cap : 4096;
    while (cap < p->count + n)
      cap *= 2;
    uint8_t *data = malloc(cap);
    if (!data)
      return -1;
    for (size_t i = 0; i < p->count; i++)
      data[i] = p->data[(p->head + i) & (p->cap - 1)];
    free(p->data);
    p->data = data, p->cap = cap, p->head = 0;
  }
  if (p->bursts == p->burst_cap) {
    size_t cap = p->burst_cap ? p->burst_cap * 2 : 16;
    struct sim_burst *burst = realloc(p->burst, cap * sizeof *burst);
    if (!burst)
      return -1;
    p->burst = burst, p->burst_cap = cap;
  }
  return 0;
}

/* Bytes that will arrive: the last station of every fault. */
static void enqueue(struct sim_line *l, struct sim_pipe *p, const uint8_t *data, size_t n, double step,
                    double now) {
  if (n == 0 || reserve(p, n) != 0)
    return;
  double start = p->free_at > now ? p->free_at : now;
  p->free_at = start + step * (double)n;
  for (size_t i = 0; i < n; i++)
    p->data[(p->head + p->count + i) & (p->cap - 1)] = data[i];
  p->count += n;
  struct sim_burst *last = p->bursts ? &p->burst[p->bursts - 1] : NULL;
  start += l->config.latency + step;
  if (last && last->step == 0 && step == 0 && last->start == start)
    last->n += n;
  else
    p->burst[p->bursts++] = (struct sim_burst){start, step, n};
}

static uint8_t flip_bit(struct sim_pipe *p, uint8_t byte) {
  return byte ^ (uint8_t)(1u << (int)(draw(p) * 8));
}

/* Whether the line is still sound. */
static int sound(const struct sim_line *l) {
  return l->calm || (l->bytes <= l->config.faults_from && l->config.faults_from);
}

static void deliver_frame(struct sim_line *l, int direction, double step, double now) {
  struct sim_pipe *p = &l->pipe[direction];
  const struct sim_faults *f = &l->config.faults[direction];
  size_t n = p->frame_len;
  double drop = draw(p), flip = draw(p), dup = draw(p), stall = draw(p), where = draw(p), bit = draw(p);
  p->frame_len = 0;
  p->in_frame = 0;
  if (sound(l)) {
    enqueue(l, p, p->frame, n, step, now);
    return;
  }
  if (drop < f->drop)
    return;
  if (flip < f->flip)
    p->frame[(size_t)(where * (double)n)] ^= (uint8_t)(1u << (int)(bit * 8));
  if (stall < f->stall)
    p->free_at = (p->free_at > now ? p->free_at : now) + l->config.stall_time;
  enqueue(l, p, p->frame, n, step, now);
  if (dup < f->dup)
    enqueue(l, p, p->frame, n, step, now);
}

static int has_frame_faults(const struct sim_faults *f) {
  return f->drop > 0 || f->flip > 0 || f->dup > 0 || f->stall > 0;
}

/* Collects SLIP frames; what stands outside of frames passes. */
static void through_frames(struct sim_line *l, int direction, const uint8_t *data, size_t n, double step,
                           double now) {
  struct sim_pipe *p = &l->pipe[direction];
  if (!has_frame_faults(&l->config.faults[direction])) {
    enqueue(l, p, data, n, step, now);
    return;
  }
  for (size_t i = 0; i < n; i++) {
    if (!p->in_frame && data[i] != 0xC0) {
      enqueue(l, p, &data[i], 1, step, now);
      continue;
    }
    if (p->frame_len == p->frame_cap) {
      size_t cap = p->frame_cap ? p->frame_cap * 2 : 256;
      uint8_t *frame = realloc(p->frame, cap);
      if (!frame)
        return;
      p->frame = frame, p->frame_cap = cap;
    }
    p->frame[p->frame_len++] = data[i];
    p->in_frame = 1;
    if (data[i] == 0xC0 && p->frame_len == 2) /* the end of nothing is a beginning */
      p->frame_len = 1;
    else if ((data[i] == 0xC0 && p->frame_len > 2) || p->frame_len >= FRAME_MAX)
      deliver_frame(l, direction, step, now);
  }
}

/* Faults of single bytes, then those of frames. */
static void through_noise(struct sim_line *l, int direction, uint8_t *data, size_t n, double step,
                          double now) {
  struct sim_pipe *p = &l->pipe[direction];
  const struct sim_faults *f = &l->config.faults[direction];
  size_t kept = sound(l) ? n : 0;
  for (size_t i = kept; i < n; i++) {
    if (f->loss > 0 && draw(p) < f->loss)
      continue;
    data[kept++] = f->noise > 0 && draw(p) < f->noise ? flip_bit(p, data[i]) : data[i];
  }
  through_frames(l, direction, data, kept, step, now);
}

void sim_line_send(struct sim_line *l, int direction, const uint8_t *data, size_t n, double tx, double rx,
                   double now) {
  double step = l->config.paced && tx > 0 ? 10 / tx : 0;
  uint8_t heard[GARBLE * 2];
  l->calm = tx <= l->config.faults_above;
  while (n > 0 && !l->cut) {
    size_t part = n < GARBLE ? n : GARBLE, count = part;
    if (l->config.unplug && l->bytes + part >= l->config.unplug) {
      part = count = (size_t)(l->config.unplug - l->bytes);
      l->cut = 1;
    }
    l->bytes += part;
    if (sim_baud_differs(tx, rx))
      count = sim_garble(data, part, tx, rx, heard, sizeof heard);
    else
      memcpy(heard, data, part);
    through_noise(l, direction, heard, count, step, now);
    data += part, n -= part;
  }
}

size_t sim_line_take(struct sim_line *l, int direction, uint8_t *out, size_t max, double now) {
  struct sim_pipe *p = &l->pipe[direction];
  size_t taken = 0, done = 0;
  while (done < p->bursts && taken < max) {
    struct sim_burst *b = &p->burst[done];
    if (b->start > now)
      break;
    size_t n = b->n;
    if (b->step > 0 && (double)(n - 1) * b->step > now - b->start)
      n = (size_t)((now - b->start) / b->step) + 1;
    if (n > b->n)
      n = b->n;
    if (n > max - taken)
      n = max - taken;
    for (size_t i = 0; i < n; i++)
      out[taken + i] = p->data[(p->head + i) & (p->cap - 1)];
    p->head = (p->head + n) & (p->cap - 1);
    p->count -= n;
    taken += n;
    b->n -= n;
    b->start += b->step * (double)n;
    if (b->n > 0)
      break;
    done++;
  }
  if (done > 0) {
    memmove(p->burst, p->burst + done, (p->bursts - done) * sizeof *p->burst);
    p->bursts -= done;
  }
  return taken;
}

double sim_line_next(const struct sim_line *l, int direction) {
  const struct sim_pipe *p = &l->pipe[direction];
  return p->bursts ? p->burst[0].start : -1;
}

size_t sim_line_pending(const struct sim_line *l, int direction) {
  return l->pipe[direction].count;
}

void sim_line_flush(struct sim_line *l, int direction) {
  struct sim_pipe *p = &l->pipe[direction];
  p->count = p->bursts = p->frame_len = 0;
  p->in_frame = 0;
  p->free_at = 0;
}
