/* l_sim_config.h - a table that describes a simulated chip, as the C structure. */
#ifndef L_SIM_CONFIG_H
#define L_SIM_CONFIG_H

#include "sim/config.h"

#include <lua.h>

/* Reads the table at index; raises when it is malformed. Strings in config stay valid as long as the table.
 */
void l_sim_config(lua_State *L, int index, struct sim_config *config);

#endif
