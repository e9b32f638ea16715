/* port_list.c - from sysfs, which names the hub ports that a USB device hangs on. */
#include "port_list.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Reads one attribute, without the line's end; "" if there is none. */
static int attribute(const char *dir, const char *name, char *out, size_t size) {
  char path[PATH_MAX];
  out[0] = '\0';
  if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
    return -1;
  FILE *f = fopen(path, "re");
  if (!f)
    return -1;
  if (!fgets(out, (int)size, f))
    out[0] = '\0';
  fclose(f);
  out[strcspn(out, "\r\n")] = '\0';
  return 0;
}

static int number(const char *dir, const char *name, int base) {
  char text[32];
  if (attribute(dir, name, text, sizeof text) != 0 || !text[0])
    return -1;
  char *end;
  long n = strtol(text, &end, base);
  return end != text && n >= 0 && n <= 0xFFFF ? (int)n : -1;
}

/* Fills in d->usb when dir or a folder above it belongs to a USB device. */
static int find_usb(char *dir, struct port_usb *u) {
  u->interface = -1;
  for (char *slash; (slash = strrchr(dir, '/')) && slash != dir; *slash = '\0') {
    if (u->interface < 0)
      u->interface = number(dir, "bInterfaceNumber", 16);
    int vid = number(dir, "idVendor", 16), pid = number(dir, "idProduct", 16);
    if (vid < 0 || pid < 0)
      continue;
    u->vid = vid;
    u->pid = pid;
    attribute(dir, "serial", u->serial, sizeof u->serial);
    attribute(dir, "manufacturer", u->manufacturer, sizeof u->manufacturer);
    attribute(dir, "product", u->product, sizeof u->product);
    snprintf(u->location, sizeof u->location, "%.63s", slash + 1);
    return 1;
  }
  return 0;
}

int port_describe(const char *sysfs, const char *tty, struct port_desc *d) {
  char path[PATH_MAX], dir[PATH_MAX], attributes[PATH_MAX];
  memset(d, 0, sizeof *d);
  d->usb.interface = -1;
  snprintf(d->name, sizeof d->name, "/dev/%.50s", tty);
  if (snprintf(attributes, sizeof attributes, "%s/class/tty/%s", sysfs, tty) >= (int)sizeof attributes)
    return -1;
  if (snprintf(path, sizeof path, "%.4000s/device", attributes) < 0 || !realpath(path, dir))
    return -1; /* consoles and pseudo terminals have no device */
  char type[16];
  if (attribute(attributes, "type", type, sizeof type) == 0 && strcmp(type, "0") == 0)
    return -1; /* a UART that the kernel reserved a name for and did not find */
  if (strncmp(tty, "rfcomm", 6) == 0) {
    d->kind = PORT_BLUETOOTH;
    snprintf(d->description, sizeof d->description, "Bluetooth serial port");
  } else if (find_usb(dir, &d->usb)) {
    d->kind = PORT_USB;
    snprintf(d->description, sizeof d->description, "%s",
             d->usb.product[0] ? d->usb.product : "USB serial port");
  } else {
    d->kind = PORT_NATIVE;
    snprintf(d->description, sizeof d->description, "serial port");
  }
  return 0;
}

static int compare(const void *a, const void *b) {
  return strverscmp(((const struct port_desc *)a)->name, ((const struct port_desc *)b)->name);
}

void port_list_free(struct port_list *list) {
  free(list->items);
  *list = (struct port_list){NULL, 0};
}

static int append(struct port_list *list, int *room, const struct port_desc *d) {
  if (list->count == *room) {
    *room = *room ? 2 * *room : 8;
    struct port_desc *more = realloc(list->items, (size_t)*room * sizeof *more);
    if (!more)
      return -1;
    list->items = more;
  }
  list->items[list->count++] = *d;
  return 0;
}

int port_list(const char *sysfs, struct port_list *list) {
  char path[PATH_MAX];
  int room = 0, err = 0;
  *list = (struct port_list){NULL, 0};
  snprintf(path, sizeof path, "%s/class/tty", sysfs);
  DIR *dir = opendir(path);
  if (!dir)
    return errno == ENOENT ? 0 : -1;
  for (struct dirent *e; !err && (e = readdir(dir));) {
    struct port_desc d;
    if (e->d_name[0] != '.' && port_describe(sysfs, e->d_name, &d) == 0)
      err = append(list, &room, &d);
  }
  closedir(dir);
  if (list->count)
    qsort(list->items, (size_t)list->count, sizeof *list->items, compare);
  return err;
}
