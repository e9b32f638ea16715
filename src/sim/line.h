/* line.h - the wire between host and chip: rate, latency, and faults that can be asked for.
 *
 * Faults are drawn from a generator that is advanced once per frame (what stands between two 0xC0) or once
 * per byte, so they depend on the seed and on what is sent, never on timing. */
#ifndef SIM_LINE_H
#define SIM_LINE_H

#include <stddef.h>
#include <stdint.h>

enum { SIM_TO_HOST, SIM_TO_CHIP };

struct sim_faults {
  double drop, flip, dup, stall; /* probability per frame: lost, one bit wrong, twice, late */
  double noise, loss;            /* probability per byte: one bit wrong, lost */
};

struct sim_line_config {
  struct sim_faults faults[2]; /* by direction */
  uint64_t seed;
  double latency;       /* seconds, each way */
  double stall_time;    /* seconds */
  uint64_t unplug;      /* bytes on the line, both ways together, after which it is cut; 0: never */
  uint64_t faults_from; /* bytes likewise, before which there are no faults */
  double faults_above;  /* bits per second up to which there are none; 0: faults at any rate */
  int paced;            /* bytes take as long as the baud rate says */
};

/* Bytes on their way in one direction. */
struct sim_pipe {
  uint8_t *data; /* ring of cap bytes */
  size_t cap, head, count;
  struct sim_burst {
    double start, step;
    size_t n;
  } * burst; /* byte i of a burst arrives at start + i * step */
  size_t bursts, burst_cap;
  double free_at; /* when the wire is idle again */
  uint8_t *frame; /* collected for faults */
  size_t frame_len, frame_cap;
  int in_frame;
  uint64_t random;
};

struct sim_line {
  struct sim_line_config config;
  struct sim_pipe pipe[2];
  uint64_t bytes;
  int cut;  /* unplugged */
  int calm; /* what is sent now is sent at a rate without faults */
};

void sim_line_init(struct sim_line *l, const struct sim_line_config *config);
void sim_line_free(struct sim_line *l);

/* Puts bytes on the wire at time now: sent at the rate tx, listened to at the rate rx (0: the same). */
void sim_line_send(struct sim_line *l, int direction, const uint8_t *data, size_t n, double tx, double rx,
                   double now);

/* Takes what has arrived by now, at most max bytes. */
size_t sim_line_take(struct sim_line *l, int direction, uint8_t *out, size_t max, double now);

/* When the next byte arrives; a time in the past: it is there; < 0: nothing is under way. */
double sim_line_next(const struct sim_line *l, int direction);

/* How many bytes are under way. */
size_t sim_line_pending(const struct sim_line *l, int direction);

/* Throws away what is under way. */
void sim_line_flush(struct sim_line *l, int direction);

#endif
