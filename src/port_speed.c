/* port_speed.c - apart from the rest because <asm/termbits.h> and <termios.h> exclude each other. */
#include "port_speed.h"

#include <asm/termbits.h>
#include <sys/ioctl.h>

int speed_set(int fd, int baud) {
  struct termios2 t;
  if (ioctl(fd, TCGETS2, &t) != 0)
    return -1;
  t.c_cflag &= ~(tcflag_t)(CBAUD | (CBAUD << IBSHIFT));
  t.c_cflag |= BOTHER | (BOTHER << IBSHIFT);
  t.c_ospeed = t.c_ispeed = (speed_t)baud;
  return ioctl(fd, TCSETS2, &t);
}

int speed_get(int fd) {
  struct termios2 t;
  return ioctl(fd, TCGETS2, &t) != 0 ? -1 : (int)t.c_ospeed;
}
