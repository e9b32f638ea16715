/* cpu_bus.c - the page table behind cpu_bus.h. */
#include "sim/cpu_bus.h"

#include <stdlib.h>

struct cpu_bus *cpu_bus_new(void) {
  struct cpu_bus *b = calloc(1, sizeof *b);
  if (!b)
    return NULL;
  b->blank = calloc(CPU_BUS_LEAF, sizeof *b->blank);
  if (!b->blank) {
    free(b);
    return NULL;
  }
  for (size_t i = 0; i < CPU_BUS_ROOT; i++)
    b->table[i] = b->blank;
  return b;
}

void cpu_bus_free(struct cpu_bus *b) {
  if (!b)
    return;
  for (size_t i = 0; i < CPU_BUS_ROOT; i++)
    if (b->table[i] != b->blank)
      free(b->table[i]);
  for (size_t i = 0; i < b->owned_n; i++)
    free(b->owned[i]);
  free(b->owned);
  free(b->executed);
  free(b->blank);
  free(b);
}

/* Numbers for n more frames, and one that stays unused between blocks. */
static bool add_frames(struct cpu_bus *b, uint32_t n, uint32_t *first) {
  const uint32_t most = 1u << (32 - CPU_PAGE_BITS);
  if (n >= most || b->frames + n + 1 >= most)
    return false;
  uint32_t need = b->frames + n + 1;
  if (need > b->frames_max) {
    uint32_t max = need + need / 2;
    uint8_t *p = realloc(b->executed, max);
    if (!p)
      return false;
    memset(p + b->frames_max, 0, max - b->frames_max);
    b->executed = p;
    b->frames_max = max;
  }
  *first = b->frames;
  b->frames = need;
  return true;
}

static uint8_t *own(struct cpu_bus *b, uint32_t size) {
  void **list = realloc(b->owned, (b->owned_n + 1) * sizeof *list);
  if (!list)
    return NULL;
  b->owned = list;
  uint8_t *host = calloc(1, size);
  if (host)
    b->owned[b->owned_n++] = host;
  return host;
}

int cpu_bus_block(struct cpu_bus *b, struct cpu_block *block, uint8_t *host, uint32_t size) {
  if (size == 0 || size % CPU_PAGE || !add_frames(b, size / CPU_PAGE, &block->frame))
    return CPU_BUS_E_MEMORY;
  block->host = host ? host : own(b, size);
  block->size = size;
  return block->host ? CPU_BUS_OK : CPU_BUS_E_MEMORY;
}

/* The entry of a page, made when it is not there yet; NULL when there is no memory. */
static struct cpu_page *entry(struct cpu_bus *b, uint32_t address) {
  struct cpu_page **leaf = &b->table[address >> (CPU_PAGE_BITS + 10)];
  if (*leaf == b->blank) {
    struct cpu_page *fresh = calloc(CPU_BUS_LEAF, sizeof *fresh);
    if (!fresh)
      return NULL;
    *leaf = fresh;
  }
  return &(*leaf)[(address >> CPU_PAGE_BITS) & (CPU_BUS_LEAF - 1)];
}

static bool range_ok(uint32_t address, uint32_t size) {
  return size && size % CPU_PAGE == 0 && address % CPU_PAGE == 0 && size - 1 <= UINT32_MAX - address;
}

static int put_pages(struct cpu_bus *b, uint32_t address, uint32_t size, struct cpu_page page, bool memory) {
  if (!range_ok(address, size))
    return CPU_BUS_E_MEMORY;
  b->epoch++;
  for (uint32_t done = 0; done < size; done += CPU_PAGE) {
    struct cpu_page *e = entry(b, address + done);
    if (!e)
      return CPU_BUS_E_MEMORY;
    *e = page;
    if (memory) {
      page.host += CPU_PAGE;
      page.frame++;
    }
  }
  return CPU_BUS_OK;
}

static uint32_t permissions(unsigned allow) {
  uint32_t can = 0;
  if (allow & CPU_BUS_READ)
    can |= allow & CPU_BUS_WORDS ? CPU_CAN_READ_WORD : CPU_CAN_READ_WORD | CPU_CAN_READ;
  if (allow & CPU_BUS_WRITE)
    can |= allow & CPU_BUS_WORDS ? CPU_CAN_WRITE_WORD : CPU_CAN_WRITE_WORD | CPU_CAN_WRITE;
  return allow & CPU_BUS_EXEC ? can | CPU_CAN_EXEC : can;
}

int cpu_bus_map(struct cpu_bus *b, uint32_t address, const struct cpu_block *block, uint32_t offset,
                uint32_t size, unsigned allow) {
  if (offset % CPU_PAGE || offset > block->size || size > block->size - offset)
    return CPU_BUS_E_MEMORY;
  struct cpu_page page = {
      .host = block->host + offset, .frame = block->frame + offset / CPU_PAGE, .can = permissions(allow)};
  return put_pages(b, address, size, page, true);
}

int cpu_bus_map_device(struct cpu_bus *b, uint32_t address, uint32_t size,
                       const struct cpu_bus_device *device) {
  return put_pages(b, address, size, (struct cpu_page){.device = device}, false);
}

void cpu_bus_unmap(struct cpu_bus *b, uint32_t address, uint32_t size) {
  if (!range_ok(address, size))
    return;
  b->epoch++;
  for (uint32_t done = 0; done < size; done += CPU_PAGE) {
    struct cpu_page *leaf = b->table[(address + done) >> (CPU_PAGE_BITS + 10)];
    struct cpu_page *e = &leaf[((address + done) >> CPU_PAGE_BITS) & (CPU_BUS_LEAF - 1)];
    if (leaf == b->blank)
      continue;
    e->host = NULL, e->device = NULL, e->can = 0; /* its frame may be used again */
  }
}

static void changed(struct cpu_bus *b, uint32_t first, uint32_t n) {
  for (int i = 0; i < b->caches; i++)
    b->cache[i].changed(b->cache[i].ctx, first, n);
}

void cpu_bus_touched(struct cpu_bus *b, const struct cpu_block *block, uint32_t offset, uint32_t n) {
  while (n && offset < block->size) {
    uint32_t in_page = CPU_PAGE - offset % CPU_PAGE, part = n < in_page ? n : in_page;
    uint32_t frame = block->frame + offset / CPU_PAGE;
    if (b->executed[frame])
      changed(b, frame << CPU_PAGE_BITS | offset % CPU_PAGE, part);
    offset += part;
    n -= part;
  }
}

static const struct cpu_page *find(struct cpu_bus *b, uint32_t address) {
  const struct cpu_page *p = cpu_bus_page(b, address);
  if (!p->host && !p->device && b->miss && b->miss(b->miss_ctx, b, address))
    p = cpu_bus_page(b, address);
  return p;
}

size_t cpu_bus_peek(struct cpu_bus *b, uint32_t address, void *out, size_t n) {
  size_t done = 0;
  while (done < n) {
    const struct cpu_page *p = find(b, address);
    uint32_t at = address % CPU_PAGE;
    size_t part = n - done < CPU_PAGE - at ? n - done : CPU_PAGE - at;
    if (!p->host)
      break;
    memcpy((uint8_t *)out + done, p->host + at, part);
    done += part;
    address += (uint32_t)part;
  }
  return done;
}

size_t cpu_bus_poke(struct cpu_bus *b, uint32_t address, const void *data, size_t n) {
  size_t done = 0;
  while (done < n) {
    const struct cpu_page *p = find(b, address);
    uint32_t at = address % CPU_PAGE;
    size_t part = n - done < CPU_PAGE - at ? n - done : CPU_PAGE - at;
    if (!p->host)
      break;
    memcpy(p->host + at, (const uint8_t *)data + done, part);
    if (b->executed[p->frame])
      changed(b, p->frame << CPU_PAGE_BITS | at, (uint32_t)part);
    done += part;
    address += (uint32_t)part;
  }
  return done;
}

bool cpu_bus_attach(struct cpu_bus *b, struct cpu_bus_cache cache) {
  if (b->caches == CPU_BUS_CACHES)
    return false;
  b->cache[b->caches++] = cache;
  return true;
}

void cpu_bus_detach(struct cpu_bus *b, const void *ctx) {
  for (int i = 0; i < b->caches; i++)
    if (b->cache[i].ctx == ctx)
      b->cache[i--] = b->cache[--b->caches];
}

/* Why memory that is there does not take the access. */
static int refusal(const struct cpu_page *p, unsigned word_bit) {
  if (!p->host)
    return CPU_BUS_E_UNMAPPED;
  return p->can & word_bit ? CPU_BUS_E_WIDTH : CPU_BUS_E_DENIED;
}

int cpu_bus_load(struct cpu_bus *b, uint32_t address, unsigned width, uint32_t *value) {
  const struct cpu_page *p = find(b, address);
  if (!p->host && !p->device)
    return CPU_BUS_E_UNMAPPED;
  if (address & (width - 1))
    return CPU_BUS_E_ALIGN;
  if (p->device)
    return p->device->read(p->device->ctx, address, width, value);
  if (cpu_bus_fast_load(b, address, width, value))
    return CPU_BUS_OK;
  return refusal(p, CPU_CAN_READ_WORD);
}

int cpu_bus_store(struct cpu_bus *b, uint32_t address, unsigned width, uint32_t value) {
  const struct cpu_page *p = find(b, address);
  if (!p->host && !p->device)
    return CPU_BUS_E_UNMAPPED;
  if (address & (width - 1))
    return CPU_BUS_E_ALIGN;
  if (p->device)
    return p->device->write(p->device->ctx, address, width, value);
  if (!(p->can & (width == 4 ? CPU_CAN_WRITE_WORD : CPU_CAN_WRITE)))
    return refusal(p, CPU_CAN_WRITE_WORD);
  cpu_put_le(p->host + address % CPU_PAGE, width, value);
  if (b->executed[p->frame])
    changed(b, p->frame << CPU_PAGE_BITS | address % CPU_PAGE, width);
  return CPU_BUS_OK;
}
