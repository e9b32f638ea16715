/* pins.c - what DTR and RTS do to the chip. Sources: ESP-IDF and esptool documentation, "Boot Mode
 * Selection"; Technical Reference Manuals, "USB Serial/JTAG Controller". */
#include "sim/pins.h"

#include "sim/chip.h"

static void en_goes_high(struct sim_chip *c) {
  c->en = 1;
  c->en_rises = -1;
  sim_chip_reset(c, SIM_RST_POWER_ON, c->io0 ? SIM_BOOT_FLASH : SIM_BOOT_DOWNLOAD);
}

static void transistors(struct sim_chip *c) {
  c->io0 = !(c->dtr && !c->rts);
  if (c->rts && !c->dtr) {
    c->en = 0;
    c->en_rises = -1;
    c->state = SIM_STATE_RESET;
    sim_core_stop(c);
    sim_wdt_reset(&c->wdt, 0);
    sim_line_flush(&c->line, SIM_TO_CHIP);
  } else if (!c->en && !c->rts) {
    en_goes_high(c);
  } else if (!c->en && c->en_rises < 0) {
    c->en_rises = c->now + c->en_delay;
  }
}

static void usb_serial_jtag(struct sim_chip *c) {
  if (c->dtr && !c->rts)
    c->usb_download = 1;
  else if (!c->dtr && !c->rts)
    c->usb_download = 0;
  else if (!c->dtr && c->rts) {
    sim_chip_reset(c, SIM_RST_USB, c->usb_download ? SIM_BOOT_DOWNLOAD : SIM_BOOT_FLASH);
    if (c->vanish_left > 0) {
      c->vanish_left--;
      c->gone_until = c->now + c->config.reenumerate;
      c->gone = 1;
    }
  }
}

void sim_pins_changed(struct sim_chip *c) {
  if (c->config.link == SIM_LINK_USJ)
    usb_serial_jtag(c);
  else if (c->config.link == SIM_LINK_UART)
    transistors(c);
}

void sim_pins_run(struct sim_chip *c) {
  if (!c->en && c->en_rises >= 0 && c->now >= c->en_rises)
    en_goes_high(c);
}
