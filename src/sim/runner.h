/* runner.h - a thread that keeps a simulated chip going and moves bytes between it and one host.
 *
 * The host is a descriptor: one end of a socket pair inside this process, a TCP connection, or a pty. All
 * functions may be called from any thread; the chip is touched only with the lock held. */
#ifndef SIM_RUNNER_H
#define SIM_RUNNER_H

#include "sim/host.h"

struct sim_runner;

/* Makes a chip and starts its thread. Returns NULL with a line in error. The caller holds one reference. */
struct sim_runner *sim_runner_new(const struct sim_config *config, char *error, size_t error_size);

/* References: the last one to go stops the thread, joins it and frees the chip. */
void sim_runner_keep(struct sim_runner *r);
void sim_runner_drop(struct sim_runner *r);

/* The chip, for a short look. Every lock is followed by an unlock; wake it if it has something new to do. */
struct sim_chip *sim_runner_lock(struct sim_runner *r);
void sim_runner_unlock(struct sim_runner *r);
double sim_runner_now(struct sim_runner *r);

enum { SIM_RUN_OK = 0, SIM_RUN_BUSY = -1, SIM_RUN_GONE = -2, SIM_RUN_FAILED = -3 };

/* From now on the chip's time stands still but in sim_runner_exchange: what happens depends on nothing but
 * what is sent. Not for a chip that has a host. */
void sim_runner_freeze(struct sim_runner *r);

/* Sends n bytes, lets the chip run until it waits for more or seconds have passed for it, and puts what it
 * sent into out. Returns how many bytes that are; they are cut at max. *idle says whether it waits, *took the
 * seconds that passed by the processor's clock, by the chip's if no program runs. */
size_t sim_runner_exchange(struct sim_runner *r, const uint8_t *data, size_t n, double seconds, uint8_t *out,
                           size_t max, int *idle, double *took);

/* The host opens the port: *fd is its end (non-blocking, close-on-exec), which it closes after
 * sim_runner_hangup. SIM_RUN_BUSY when there is a host already, SIM_RUN_GONE when the device is unplugged. */
int sim_runner_open(struct sim_runner *r, int *fd);
void sim_runner_hangup(struct sim_runner *r);

/* What the host has written before counts before; then its side of the line changes. */
void sim_runner_set_baud(struct sim_runner *r, double baud);
void sim_runner_set_lines(struct sim_runner *r, int dtr, int rts);

/* Moves everything that has arrived for the host into its descriptor, so that it can be thrown away there. */
void sim_runner_settle(struct sim_runner *r);

/* Serves other programs: on a TCP port (0: any free one; *port is then which), one at a time, wrapped as
 * kind says (SIM_HOST_SOCKET, SIM_HOST_RFC2217), or on a pty (*path, name_size bytes). reset: the chip is
 * reset into download mode when a host comes. Returns 0, or -1 with a line in error. */
int sim_runner_listen(struct sim_runner *r, const char *address, int *port, int kind, int reset, char *error,
                      size_t error_size);
int sim_runner_pty(struct sim_runner *r, char *path, size_t path_size, int reset, char *error,
                   size_t error_size);

#endif
