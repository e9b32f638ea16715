/* port_speed.c - apart from the rest because <asm/termbits.h> and <termios.h> exclude each other. */
#include "port_speed.h"

#include <asm/termbits.h>
#include <sys/ioctl.h>

/* The kernel's constant for a rate that has one, so that other programs can tell the rate; else BOTHER. */
static tcflag_t constant(int baud) {
  static const struct {
    int baud;
    tcflag_t flag;
  } known[] = {{1200, B1200},       {2400, B2400},       {4800, B4800},       {9600, B9600},
               {19200, B19200},     {38400, B38400},     {57600, B57600},     {115200, B115200},
               {230400, B230400},   {460800, B460800},   {500000, B500000},   {576000, B576000},
               {921600, B921600},   {1000000, B1000000}, {1152000, B1152000}, {1500000, B1500000},
               {2000000, B2000000}, {2500000, B2500000}, {3000000, B3000000}, {3500000, B3500000},
               {4000000, B4000000}};
  for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].baud == baud)
      return known[i].flag;
  return BOTHER;
}

int speed_set(int fd, int baud) {
  struct termios2 t;
  if (ioctl(fd, TCGETS2, &t) != 0)
    return -1;
  t.c_cflag &= ~(tcflag_t)(CBAUD | (CBAUD << IBSHIFT));
  t.c_cflag |= constant(baud); /* input: the same as output */
  t.c_ospeed = t.c_ispeed = (speed_t)baud;
  return ioctl(fd, TCSETS2, &t);
}

int speed_get(int fd) {
  struct termios2 t;
  return ioctl(fd, TCGETS2, &t) != 0 ? -1 : (int)t.c_ospeed;
}
