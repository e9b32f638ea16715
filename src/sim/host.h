/* host.h - how a host's bytes are wrapped on the way to the chip: not at all, or as RFC 2217. */
#ifndef SIM_HOST_H
#define SIM_HOST_H

#include "sim/chip.h"
#include "telnet.h"

/* How the host is connected: inside this process, by a TCP connection that knows nothing of rates (so every
 * rate fits), by RFC 2217, by a pty. */
enum { SIM_HOST_PORT, SIM_HOST_SOCKET, SIM_HOST_RFC2217, SIM_HOST_PTY };

struct sim_host {
  int kind; /* SIM_HOST_... */
  struct sim_chip *chip;
  struct telnet telnet;
  uint8_t answer[1024]; /* to the client's requests, not sent yet */
  size_t answer_len;
  int told_modem; /* whether the client knows the modem lines */
};

void sim_host_init(struct sim_host *h, int kind, struct sim_chip *chip);

/* Bytes from the host's descriptor. */
void sim_host_input(struct sim_host *h, const uint8_t *data, size_t n, double now);

/* Bytes for it, at most max. */
size_t sim_host_output(struct sim_host *h, uint8_t *out, size_t max, double now);

/* Bits per second of a termios speed constant; 0: unknown. */
double sim_host_rate(unsigned long speed);

#endif
