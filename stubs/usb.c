/* usb.c - USB-Serial/JTAG, a pair of FIFOs of 64 bytes, and USB-OTG through the ROM's driver. Both hold the
 * host back when the ring is full, so nothing gets lost here. */
#include "stub.h"

#ifdef LINK_NUMBER_ANY

enum { PACKET = 64 };

/* USB_SERIAL_JTAG_EP1_REG, USB_SERIAL_JTAG_EP1_CONF_REG: soc/usb_serial_jtag_reg.h */
enum { USJ_WR_DONE = 1, USJ_IN_FREE = 2, USJ_OUT_AVAILABLE = 4 };

#ifdef OTG_DEVICE
static struct {
  uint32_t device, fill;
  uint32_t out_words[PACKET / 4], in_words[PACKET / 4];
} otg;

static uint32_t otg_call(uint32_t function, const void *data, uint32_t n) {
  return rom_call(function, otg.device, (uint32_t)(uintptr_t)data, n);
}

/* The ROM's driver is served by asking, not by interrupts. */
static void otg_poll(void) {
  uint32_t n = PACKET;
  while (n && ring_room() >= 2 * PACKET) {
    rom_call(OTG_POLL, 0, 0, 0);
    n = otg_call(OTG_READ, otg.in_words, PACKET);
    for (uint32_t i = 0; i < n; i++)
      ring_store(((uint8_t *)otg.in_words)[i]);
  }
}

/* Hands a packet to the ROM. A host that does not read is waited for. */
static void otg_send(void) {
  uint32_t n = otg.fill;
  const uint8_t *p = (const uint8_t *)otg.out_words;
  otg.fill = 0;
  do {
    int32_t done = (int32_t)otg_call(OTG_WRITE, p, n);
    if (done > 0 && (uint32_t)done <= n) {
      p += done;
      n -= (uint32_t)done;
    }
    otg_poll();
  } while (n);
}
#endif

#ifdef ROM_UART_DEVICE
#define LINK_NUMBER (REG_READ(rom_call(ROM_UART_DEVICE, 0, 0, 0) + 0x18) & 0xFF)
#endif

int usb_init(void) {
  uint32_t number = LINK_NUMBER;
#ifdef OTG_DEVICE
  if (number == LINK_NUMBER_OTG) {
#ifdef OTG_SETUP
    REG_WRITE(OTG_SETUP, REG_READ(OTG_SETUP) | OTG_SETUP_BIT);
#endif
    otg.device = REG_READ(OTG_DEVICE);
    otg_call(OTG_CALLBACK, 0, 0); /* the ROM's loader is not to take our bytes */
    return LINK_OTG;
  }
#endif
#ifdef USJ_BASE
  if (number == LINK_NUMBER_USJ)
    return LINK_USJ;
#endif
  return LINK_UART;
}

void usb_poll(int link) {
  (void)link;
#ifdef OTG_DEVICE
  if (link == LINK_OTG) {
    otg_poll();
    return;
  }
#endif
#ifdef USJ_BASE
  while (ring_room() >= 3 && (REG_READ(USJ_BASE + 4) & USJ_OUT_AVAILABLE))
    ring_store((uint8_t)REG_READ(USJ_BASE));
#endif
}

#ifdef USJ_BASE
static void usj_wait(void) {
  while (!(REG_READ(USJ_BASE + 4) & USJ_IN_FREE))
    usb_poll(LINK_USJ);
}
#endif

void usb_put(int link, uint8_t c) {
  (void)link;
#ifdef OTG_DEVICE
  if (link == LINK_OTG) {
    ((uint8_t *)otg.out_words)[otg.fill++] = c;
    if (otg.fill == PACKET)
      otg_send();
    return;
  }
#endif
#ifdef USJ_BASE
  usj_wait();
  REG_WRITE(USJ_BASE, c);
#endif
}

/* A full packet goes by itself, but the host's driver may wait for a short one before it passes it on: so
 * there is always a last packet, an empty one if need be. */
void usb_flush(int link) {
  (void)link;
#ifdef OTG_DEVICE
  if (link == LINK_OTG) {
    otg_send();
    return;
  }
#endif
#ifdef USJ_BASE
  usj_wait();
  REG_WRITE(USJ_BASE + 4, USJ_WR_DONE);
#endif
}

#endif
