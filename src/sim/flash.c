/* flash.c - the cells of a NOR flash, in memory or in a file. */
#include "sim/flash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct sim_flash *f, char *error, size_t n, const char *path, const char *what) {
  snprintf(error, n, "flash file %s: %s", path ? path : "(memory)", what);
  sim_flash_close(f);
  return -1;
}

static int write_erased(int fd, uint32_t size) {
  uint8_t blank[SIM_SECTOR];
  memset(blank, 0xFF, sizeof blank);
  for (uint32_t at = 0; at < size; at += SIM_SECTOR)
    if (pwrite(fd, blank, SIM_SECTOR, at) != SIM_SECTOR)
      return -1;
  return 0;
}

int sim_flash_open(struct sim_flash *f, uint32_t size, const char *path, char *error, size_t error_size) {
  *f = (struct sim_flash){.size = size, .fd = -1};
  struct stat st;
  char text[120];
  if (size % SIM_SECTOR || size > SIM_FLASH_MAX || (size == 0 && !path))
    return fail(f, error, error_size, path, "no size of a flash");
  if (!path) {
    f->page = calloc(size / SIM_SECTOR + 1, sizeof *f->page);
    return f->page ? 0 : fail(f, error, error_size, path, "no memory");
  }
  f->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (f->fd < 0 || fstat(f->fd, &st) != 0)
    return fail(f, error, error_size, path, strerror(errno));
  if (!S_ISREG(st.st_mode))
    return fail(f, error, error_size, path, "not a regular file");
  if (st.st_size == 0 && size != 0) {
    if (write_erased(f->fd, size) != 0) {
      int saved = errno;
      if (ftruncate(f->fd, 0) != 0)
        saved = errno;
      return fail(f, error, error_size, path, strerror(saved));
    }
    return 0;
  }
  if (size == 0 && st.st_size >= 65536 && st.st_size <= SIM_FLASH_MAX && st.st_size % 65536 == 0)
    f->size = (uint32_t)st.st_size;
  else if (size == 0 || (uint64_t)st.st_size != size) {
    snprintf(text, sizeof text, "has %lld bytes, the flash of this chip has %lu", (long long)st.st_size,
             (unsigned long)size);
    return fail(f, error, error_size, path, size ? text : "its size is not that of a flash");
  }
  return 0;
}

void sim_flash_close(struct sim_flash *f) {
  if (f->page)
    for (uint32_t i = 0; i < f->size / SIM_SECTOR; i++)
      free(f->page[i]);
  free(f->page);
  f->page = NULL;
  if (f->fd > 0) {
    fsync(f->fd);
    close(f->fd);
  }
  f->fd = -1;
}

/* One sector's bytes, from wherever they are. */
static void load(const struct sim_flash *f, uint32_t sector, uint8_t *out) {
  if (f->page && f->page[sector])
    memcpy(out, f->page[sector], SIM_SECTOR);
  else if (f->page || pread(f->fd, out, SIM_SECTOR, (off_t)sector * SIM_SECTOR) != SIM_SECTOR)
    memset(out, 0xFF, SIM_SECTOR);
}

void sim_flash_read(const struct sim_flash *f, uint32_t addr, uint8_t *out, size_t n) {
  while (n > 0) {
    addr %= f->size;
    uint32_t at = addr % SIM_SECTOR;
    size_t part = SIM_SECTOR - at < n ? SIM_SECTOR - at : n;
    const uint8_t *page = f->page ? f->page[addr / SIM_SECTOR] : NULL;
    if (page)
      memcpy(out, page + at, part);
    else if (f->page || pread(f->fd, out, part, addr) != (ssize_t)part)
      memset(out, 0xFF, part);
    out += part, n -= part, addr += (uint32_t)part;
  }
}

static void change(struct sim_flash *f, uint32_t addr, const uint8_t *data, size_t n, int only_clear) {
  uint8_t buffer[SIM_SECTOR];
  while (n > 0) {
    addr %= f->size;
    uint32_t sector = addr / SIM_SECTOR, at = addr % SIM_SECTOR;
    size_t part = SIM_SECTOR - at < n ? SIM_SECTOR - at : n;
    uint8_t *page = buffer;
    if (f->page) {
      if (!f->page[sector]) {
        f->page[sector] = malloc(SIM_SECTOR);
        if (!f->page[sector])
          return; /* reads back as not programmed, which every host checks */
        memset(f->page[sector], 0xFF, SIM_SECTOR);
      }
      page = f->page[sector];
    } else {
      load(f, sector, buffer);
    }
    for (size_t i = 0; i < part; i++)
      page[at + i] = only_clear ? page[at + i] & data[i] : data[i];
    if (!f->page && pwrite(f->fd, page + at, part, addr) != (ssize_t)part)
      return;
    data += part, n -= part, addr += (uint32_t)part;
  }
}

static void touched(struct sim_flash *f, uint32_t addr, uint64_t n) {
  struct sim_flash_use *u = &f->use;
  uint64_t first = addr % f->size, last = first + n;
  if (n == 0)
    return;
  if (last > f->size) { /* round the end */
    first = 0;
    last = f->size;
  }
  if (u->first == u->last || first < u->first)
    u->first = first;
  if (last > u->last)
    u->last = last;
}

void sim_flash_program(struct sim_flash *f, uint32_t addr, const uint8_t *data, size_t n) {
  f->use.programs++;
  f->use.programmed += n;
  touched(f, addr, n);
  change(f, addr, data, n, 1);
}

void sim_flash_poke(struct sim_flash *f, uint32_t addr, const uint8_t *data, size_t n) {
  change(f, addr, data, n, 0);
}

void sim_flash_erase(struct sim_flash *f, uint32_t addr, size_t n) {
  uint8_t blank[SIM_SECTOR];
  memset(blank, 0xFF, sizeof blank);
  if (n == 0)
    return;
  uint32_t first = addr / SIM_SECTOR,
           count = (uint32_t)((addr % SIM_SECTOR + n + SIM_SECTOR - 1) / SIM_SECTOR);
  uint32_t sectors = f->size / SIM_SECTOR;
  if (count > sectors)
    count = sectors;
  f->use.erases++;
  f->use.erased += (uint64_t)count * SIM_SECTOR;
  touched(f, first * SIM_SECTOR, (uint64_t)count * SIM_SECTOR);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t sector = (first + i) % sectors;
    if (f->page) {
      free(f->page[sector]);
      f->page[sector] = NULL;
    } else if (pwrite(f->fd, blank, SIM_SECTOR, (off_t)sector * SIM_SECTOR) != SIM_SECTOR) {
      return;
    }
  }
}
