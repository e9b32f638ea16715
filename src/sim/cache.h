/* cache.h - the window onto flash: a table that says which page of flash shows at which address. */
#ifndef SIM_CACHE_H
#define SIM_CACHE_H

#include <stdint.h>

struct sim_chip;

/* How the table is reached: not at all, as memory, by an index and a content register. */
enum { SIM_CACHE_NONE, SIM_CACHE_TABLE, SIM_CACHE_INDEXED };
enum { SIM_CACHE_ENTRIES = 1024, SIM_CACHE_WINDOWS = 2 };

struct sim_cache_layout {
  int kind;
  uint32_t base;           /* address of the table, or of the index register; the content's follows it */
  uint32_t index, content; /* offsets of the two */
  uint32_t entries;
  /* Where parts of the window begin, ascending, and their first entries. None: entries count from address 0
   * and repeat. */
  uint32_t first[SIM_CACHE_WINDOWS], first_entry[SIM_CACHE_WINDOWS];
  uint32_t page;        /* bytes, a power of two */
  uint32_t page_mask;   /* bits of an entry that are a page's number */
  uint32_t valid;       /* bits that say whether it is valid ... */
  uint32_t valid_value; /* ... and their value when it is */
  uint32_t encrypted;   /* bit that says that the page may be encrypted; 0: every page may */
};

struct sim_cache {
  struct sim_chip *chip;
  uint32_t entry[SIM_CACHE_ENTRIES];
  uint32_t at; /* the index register */
};

void sim_cache_reset(struct sim_cache *k);

/* Where in flash the byte at an address of the window is, and whether its page may be encrypted. Returns 0
 * when nothing is there. */
int sim_cache_where(const struct sim_chip *c, uint32_t addr, uint32_t *flash, int *encrypted);

/* What was fetched is forgotten. */
void sim_cache_invalidate(struct sim_chip *c);

int sim_cache_read(void *cache, uint32_t offset, uint32_t *value);
int sim_cache_write(void *cache, uint32_t offset, uint32_t value);

#endif
