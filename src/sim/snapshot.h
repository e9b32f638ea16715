/* snapshot.h - the whole state of a simulated chip, to go back to as often as one likes. */
#ifndef SIM_SNAPSHOT_H
#define SIM_SNAPSHOT_H

#include <stddef.h>

struct sim_chip;
struct sim_snapshot;

/* NULL, with a line in error, when the chip's flash is a file or there is no memory. The caller frees it. */
struct sim_snapshot *sim_snapshot_take(struct sim_chip *c, char *error, size_t error_size);
void sim_snapshot_free(struct sim_snapshot *s);

/* Goes back. The snapshot must have been taken of this very chip. Returns 0; -1 when there is no memory, and
 * the chip is silent then until it is reset. */
int sim_snapshot_load(struct sim_chip *c, const struct sim_snapshot *s);

/* Whether it is one of this chip. */
int sim_snapshot_of(const struct sim_snapshot *s, const struct sim_chip *c);

#endif
