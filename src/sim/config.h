/* config.h - what makes a simulated chip this chip. Filled from the files in chips/; no chip is known by name
 * here. */
#ifndef SIM_CONFIG_H
#define SIM_CONFIG_H

#include "sim/bus.h"
#include "sim/core.h"
#include "sim/crypt.h"
#include "sim/efuse.h"
#include "sim/line.h"
#include "sim/machine.h"
#include "sim/spi.h"
#include "sim/spi2.h"
#include "sim/uart.h"
#include "sim/wdt.h"

enum { SIM_LINK_UART, SIM_LINK_USJ, SIM_LINK_OTG };
enum { SIM_SECURITY_NONE, SIM_SECURITY_NO_CHIP_ID, SIM_SECURITY_FULL };
enum { SIM_TEXT = 160, SIM_FIELD_PARTS = 4, SIM_PRESETS = 24, SIM_KEYS = 7, SIM_FUSES = 64 };

/* A value in registers: parts of `width` bits from bit `lsb` of the word at an address, lowest part first. */
struct sim_field {
  int parts;
  struct {
    uint32_t addr;
    int lsb, width;
  } part[SIM_FIELD_PARTS];
};

enum {
  SIM_RST_POWER_ON,
  SIM_RST_EXTERNAL,
  SIM_RST_SOFTWARE,
  SIM_RST_WATCHDOG, /* of the RTC: everything, the core, the processor */
  SIM_RST_USB,
  SIM_RST_WATCHDOG_CORE,
  SIM_RST_WATCHDOG_CPU,
  SIM_RST_TIMER0, /* watchdogs of the timer groups: the core, the processor */
  SIM_RST_TIMER1,
  SIM_RST_TIMER0_CPU,
  SIM_RST_TIMER1_CPU,
  SIM_RSTS
};
enum { SIM_BOOT_DOWNLOAD, SIM_BOOT_FLASH };

struct sim_rom {
  int status_bytes;      /* 2 or 4 */
  uint32_t commands;     /* bit n: command n is known */
  uint32_t sdm_commands; /* the same in secure download mode */
  int encrypted_word;    /* FLASH_BEGIN has a fifth word */
  int erase_quirk;       /* ESP8266: the erase routine clears the sectors of the first block twice */
  int whole_window;      /* ESP32: the end of a compressed stream is written with all that stands behind it */
  int security;          /* SIM_SECURITY_... */
  uint32_t ram_block;    /* largest packet */
  uint32_t flash_size;   /* what the ROM assumes before SPI_SET_PARAMS */
  int ram_refused;       /* nothing that was loaded into RAM is started while secure boot is on */
  uint32_t read_pointer; /* variable through which it reads flash, 0: none; what it holds is not modelled */
  uint32_t frame_max;    /* bytes of a frame that the link's buffer holds; 0: as many as the loader takes */
};

struct sim_config {
  struct sim_region region[SIM_BUS_REGIONS];
  int regions;
  struct sim_alias alias[SIM_BUS_ALIASES];
  int aliases;
  struct sim_core_layout core;
  uint32_t usj_base, systimer_base; /* 0: none */
  struct sim_rom rom;
  struct sim_spi_layout spi;
  struct sim_spi2_layout spi2;
  int nand; /* a serial NAND flash is wired to it */
  struct sim_nand_fault nand_fault[SIM_NAND_FAULTS];
  int nand_faults;
  uint32_t spi_also; /* base of another controller that takes the same commands; 0: none */
  struct sim_uart_layout uart;
  struct sim_wdt_layout wdt;
  struct sim_efuse_layout efuse;
  struct sim_machine_layout machine;
  struct sim_crypt_layout crypt;
  struct {
    uint32_t addr, value;
  } preset[SIM_PRESETS];
  int presets;
  struct {
    int block, word;
    uint32_t bits;
  } fuse[SIM_FUSES]; /* burned before delivery */
  int fuses;
  uint32_t chip_id, api_version;
  /* where the security state is in eFuses; parts == 0: the chip has no such thing */
  struct sim_field secure_boot, aggressive_revoke, key_revoke[3], crypt_cnt, key_purpose[SIM_KEYS],
      secure_download, download_disabled, dl_encrypt_disabled, soft_dis_jtag, hard_dis_jtag, dis_usb,
      dis_dcache, dis_icache;
  struct sim_field
      crypt_key_length; /* without purposes: one block has the key; 0: half of it, which is stretched */
  struct sim_field crypt_config; /* ESP32: how the address takes part in the key */
  int keys, key_block;           /* how many, and the block of the first; -1: not known */
  uint32_t no_purpose;           /* what the ROM says of the block after the key blocks */
  /* links */
  int link;                        /* SIM_LINK_... */
  uint32_t link_addr, link_value;  /* the ROM's variable; addr 0: none */
  int usb_vid, usb_pid;            /* what the host's system sees; 0: a UART behind some adapter */
  double reenumerate;              /* seconds for which the port is gone after a reset on USB */
  int vanish;                      /* how many resets by the lines make the port go away too */
  int max_baud;                    /* the highest rate that the host's adapter can make; 0: any */
  uint32_t strap_addr;             /* strapping register; 0: none */
  struct sim_field force_download; /* survives all but power-on and EN: the next start is a download */
  struct sim_field flash_power;    /* all ones when the flash has its supply; parts == 0: always */
  uint32_t strap[2];               /* its value per boot mode */
  /* what is printed */
  double boot_baud;
  char banner[SIM_TEXT], line[SIM_TEXT], waiting[SIM_TEXT];
  char panic[SIM_TEXT], panic_store[SIM_TEXT]; /* when an address to read, to write belongs to nothing */
  char leave[SIM_TEXT]; /* when FLASH_END leaves the loader; "": the image in flash is started */
  int leave_boots;      /* it is started if there is one, else that is said */
  uint32_t boot_code[2];
  char boot_name[2][SIM_TEXT];
  struct {
    uint32_t code;
    char name[40];
  } reset[SIM_RSTS];
  /* flash */
  uint32_t jedec_id;
  uint32_t flash_size;                             /* bytes; 0: the size of the file */
  const char *flash_file, *efuse_file, *nand_file; /* NULL: in memory */
  const char *rom_file;                            /* NULL: the loader's model answers */
  uint32_t bootloader_offset;
  uint32_t spi_connection; /* SPI_ATTACH with this word finds the flash; 0: the default pads */
  /* the line */
  struct sim_line_config line_model;
  double en_delay;    /* seconds that EN takes to rise when both lines are asserted */
  int start_download; /* power on in download mode */
  int timing;         /* flash operations and register delays take their time */
};

#endif
