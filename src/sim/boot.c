/* boot.c - the boot log. Source: ESP-IDF and esptool documentation, "Boot Mode Selection", "Boot Log". */
#include "sim/boot.h"

#include "sim/chip.h"

#include <stdio.h>
#include <string.h>

enum { IMAGE_MAGIC = 0xE9, SEGMENT_MAX = 16 };

static void print(struct sim_chip *c, const char *text) {
  double baud = c->config.link == SIM_LINK_UART ? c->config.boot_baud : 0;
  sim_chip_send(c, (const uint8_t *)text, strlen(text), baud);
}

/* Fills {reset}, {reset_name}, {boot} and {boot_name} in. */
static void print_line(struct sim_chip *c, const char *line, int cause, int mode) {
  char out[2 * SIM_TEXT], value[SIM_TEXT];
  size_t len = 0;
  while (*line && len + 1 < sizeof out) {
    const char *end = *line == '{' ? strchr(line, '}') : NULL;
    if (!end) {
      out[len++] = *line++;
      continue;
    }
    size_t n = (size_t)(end - line) - 1;
    if (n == 5 && memcmp(line + 1, "reset", n) == 0)
      snprintf(value, sizeof value, "%x", (unsigned)c->config.reset[cause].code);
    else if (n == 10 && memcmp(line + 1, "reset_name", n) == 0)
      snprintf(value, sizeof value, "%s", c->config.reset[cause].name);
    else if (n == 4 && memcmp(line + 1, "boot", n) == 0)
      snprintf(value, sizeof value, "%x", (unsigned)c->config.boot_code[mode]);
    else if (n == 9 && memcmp(line + 1, "boot_name", n) == 0)
      snprintf(value, sizeof value, "%s", c->config.boot_name[mode]);
    else
      value[0] = 0;
    for (const char *v = value; *v && len + 1 < sizeof out; v++)
      out[len++] = *v;
    line = end + 1;
  }
  out[len] = 0;
  print(c, out);
}

static uint32_t word_at(const uint8_t *b) {
  return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static int print_image(struct sim_chip *c) {
  static const char *const modes[] = {"QIO", "QOUT", "DIO", "DOUT", "FAST_READ", "SLOW_READ"};
  uint8_t h[24], s[8];
  char text[80];
  uint32_t at = c->config.bootloader_offset;
  sim_flash_read(&c->flash, at, h, sizeof h);
  if (h[0] != IMAGE_MAGIC || h[1] == 0 || h[1] > SEGMENT_MAX) {
    snprintf(text, sizeof text, "invalid header: 0x%08x\r\n", (unsigned)word_at(h));
    for (int i = 0; i < 4; i++)
      print(c, text);
    return 0;
  }
  snprintf(text, sizeof text, "SPIWP:0xee\r\nmode:%s, clock div:%d\r\n", modes[h[2] < 6 ? h[2] : 5],
           (h[3] & 15) == 15 ? 1 : (h[3] & 15) + 2);
  print(c, text);
  at += 24;
  for (int i = 0; i < h[1]; i++) {
    sim_flash_read(&c->flash, at, s, sizeof s);
    snprintf(text, sizeof text, "load:0x%08x,len:0x%x\r\n", (unsigned)word_at(s), (unsigned)word_at(s + 4));
    print(c, text);
    at += 8 + word_at(s + 4) % c->flash.size;
  }
  snprintf(text, sizeof text, "entry 0x%08x\r\n", (unsigned)word_at(h + 4));
  print(c, text);
  return 1;
}

int sim_boot_print(struct sim_chip *c, int cause, int mode) {
  print(c, c->config.banner);
  print_line(c, c->config.line, cause, mode);
  if (mode == SIM_BOOT_FLASH)
    return print_image(c);
  print(c, c->config.waiting);
  return 0;
}

void sim_boot_left(struct sim_chip *c) {
  uint8_t magic;
  sim_flash_read(&c->flash, c->config.bootloader_offset, &magic, 1);
  if (c->config.leave[0] && !(c->config.leave_boots && magic == IMAGE_MAGIC))
    print(c, c->config.leave);
  else
    print_image(c);
}
