/* port_speed.h - any bit rate on a terminal device, by the kernel's own structure. */
#ifndef PORT_SPEED_H
#define PORT_SPEED_H

/* Sets both directions to baud bits per second. 0, or -1 with errno. */
int speed_set(int fd, int baud);

/* The rate that is set, or -1 with errno. */
int speed_get(int fd);

#endif
