/* port_list.h - the serial ports of this machine, and what is known of their USB device. */
#ifndef PORT_LIST_H
#define PORT_LIST_H

struct port_usb {
  int vid, pid, interface; /* interface: -1 when not known */
  char serial[128], manufacturer[128], product[128];
  char location[64]; /* "1-4.3": bus and the chain of hub ports; stays the same when the device comes back */
};

struct port_desc {
  char name[64]; /* "/dev/ttyUSB0" */
  char description[160];
  enum { PORT_NATIVE, PORT_USB, PORT_BLUETOOTH } kind;
  struct port_usb usb; /* when kind is PORT_USB */
};

/* Describes the port whose device is /dev/TTY. sysfs is "/sys". 0, or -1 if there is no such port. */
int port_describe(const char *sysfs, const char *tty, struct port_desc *d);

struct port_list {
  struct port_desc *items;
  int count;
};

/* All ports, sorted by name with numbers in order. 0, or -1 with errno; port_list_free in both cases. */
int port_list(const char *sysfs, struct port_list *list);
void port_list_free(struct port_list *list);

#endif
