/* chip.h - the simulated chip, passive: bytes and line changes in, bytes out, and a clock that the caller
 * moves.
 *
 * Nothing here waits, starts a thread or looks at a real clock. `now` is seconds on any clock that does not
 * go back. Call sim_chip_run when sim_chip_next says so, or simply often. */
#ifndef SIM_CHIP_H
#define SIM_CHIP_H

#include "sim/config.h"
#include "sim/loader.h"
#include "sim/systimer.h"
#include "sim/usj.h"

enum { SIM_LOG = 1024 };

/* One served command, for those who watch; op 0: a program was stopped (a: pc, b: address, error: enum
 * cpu_fault_code). */
struct sim_event {
  double time;
  uint8_t op, status, error;
  uint32_t size, a, b, value; /* body length, its first two words, the value answered */
};

enum { SIM_STATE_RESET, SIM_STATE_DOWNLOAD, SIM_STATE_APP, SIM_STATE_HUNG };

struct sim_chip {
  struct sim_config config;
  struct sim_bus bus;
  struct sim_flash flash;
  struct sim_nor nor;
  struct sim_spi spi;
  struct sim_nand nand;
  struct sim_spi2 spi2;
  struct sim_efuse efuse;
  struct sim_uart uart;
  struct sim_usj usj;
  struct sim_systimer systimer;
  struct sim_core core;
  struct sim_machine machine;
  struct sim_wdt wdt;
  struct sim_crypt crypt;
  struct sim_line line;
  struct sim_loader loader;
  double now, busy_until;
  int state;
  /* the lines, as the host drives them; and the pins behind the two transistors */
  int dtr, rts, en, io0;
  double en_delay;  /* seconds that EN takes to rise when both lines are asserted */
  double en_rises;  /* when EN goes high; < 0: no change to come */
  int usb_download; /* USB-Serial/JTAG: the next reset goes to download mode */
  double host_baud;
  double gone_until; /* the port has vanished until then; < 0: it is there */
  int gone;          /* the host has not opened it again since */
  int vanish_left;
  int boot_mode; /* as the pins were when they were last looked at: SIM_BOOT_... */
  int resets;
  int flash_connected;
  struct sim_mark *mark; /* what snapshots of this chip are known by: an address may be used again */
  struct sim_event *log;
  size_t log_count; /* events ever */
};

/* Makes a chip and powers it on at time 0. The strings in config are not kept. NULL on failure, with a line
 * in error. */
struct sim_chip *sim_chip_new(const struct sim_config *config, char *error, size_t error_size);
void sim_chip_free(struct sim_chip *c);

/* Holds and lets go a mark; NULL is none. */
struct sim_mark *sim_mark_hold(struct sim_mark *m);
void sim_mark_drop(struct sim_mark *m);

void sim_chip_input(struct sim_chip *c, const uint8_t *data, size_t n, double now);
size_t sim_chip_output(struct sim_chip *c, uint8_t *out, size_t max, double now);

/* Lets everything happen that is due. */
void sim_chip_run(struct sim_chip *c, double now);

/* When something is due next; < 0: nothing before the host does something. */
double sim_chip_next(struct sim_chip *c);

/* The host's side of the serial port. A line of -1 stays as it is. */
void sim_chip_set_baud(struct sim_chip *c, double baud, double now);
void sim_chip_set_lines(struct sim_chip *c, int dtr, int rts, double now);

/* The host throws away what it has received so far. */
void sim_chip_drop_received(struct sim_chip *c, double now);

/* Whether the port is there for the host: not when the cable is cut or a USB device restarts. */
int sim_chip_present(const struct sim_chip *c, double now);

/* The host opens the port (again): what was on the wire is lost. */
void sim_chip_opened(struct sim_chip *c, double now);

/* A reset from outside, with the boot pin as mode says. */
void sim_chip_reset(struct sim_chip *c, int cause, int mode);

/* The cause of a reset by the RTC watchdog, if it has bitten by its clock: SIM_RST_..., or -1. And what a
 * watchdog's bite does. */
int sim_chip_bites(const struct sim_chip *c);
void sim_chip_bite(struct sim_chip *c, int cause);

/* For the parts of the chip. */
uint32_t sim_field_get(struct sim_chip *c, const struct sim_field *f);
void sim_chip_send(struct sim_chip *c, const uint8_t *data, size_t n, double baud);
void sim_chip_log(struct sim_chip *c, struct sim_event e);
void sim_chip_take_time(struct sim_chip *c, double seconds);
double sim_chip_baud(struct sim_chip *c);

#endif
