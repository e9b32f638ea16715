/* host.c - a host's bytes, unwrapped. */
#include "sim/host.h"

#include <termios.h>

void sim_host_init(struct sim_host *h, int kind, struct sim_chip *chip) {
  *h = (struct sim_host){.kind = kind, .chip = chip};
}

void sim_host_input(struct sim_host *h, const uint8_t *data, size_t n, double now) {
  sim_chip_input(h->chip, data, n, now);
}

size_t sim_host_output(struct sim_host *h, uint8_t *out, size_t max, double now) {
  return sim_chip_output(h->chip, out, max, now);
}

double sim_host_rate(unsigned long speed) {
  static const struct { unsigned long code; double baud; } rates[] = {
      {B9600, 9600},       {B19200, 19200},     {B38400, 38400},     {B57600, 57600},     {B115200, 115200},
      {B230400, 230400},   {B460800, 460800},   {B500000, 500000},   {B576000, 576000},   {B921600, 921600},
      {B1000000, 1000000}, {B1152000, 1152000}, {B1500000, 1500000}, {B2000000, 2000000}, {B2500000, 2500000},
      {B3000000, 3000000}, {B3500000, 3500000}, {B4000000, 4000000}};
  for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
    if (rates[i].code == speed)
      return rates[i].baud;
  return 0;
}
