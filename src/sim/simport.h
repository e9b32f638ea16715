/* simport.h - a simulated chip as a port of port.h. */
#ifndef SIM_SIMPORT_H
#define SIM_SIMPORT_H

#include "port.h"
#include "sim/runner.h"

/* Makes a port on a running chip, not open yet (run a PORT_OPEN request, which never waits). It keeps a
 * reference to r. NULL without memory. */
struct port *sim_port_new(struct sim_runner *r, const char *url, int baud);

#endif
