#include "port.h"
#include <stdio.h>
int port_new_rfc2217(struct port **out, const char *url, int baud, char *error) {
  (void)out;
  (void)baud;
  snprintf(error, PORT_ERROR_SIZE, "%.200s: not built yet", url);
  return PORT_EUNSUPPORTED;
}
