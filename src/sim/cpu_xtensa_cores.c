/* cpu_xtensa_cores.c - which options the chips' cores have.
 *
 * Sources: the core-isa.h that Espressif publishes with ESP-IDF (components/xtensa/CHIP) for the LX6 and LX7
 * cores, the one of the ESP8266's core in the public Xtensa overlays; interrupt types from the chips'
 * reference manuals. */
#include "sim/cpu_xtensa.h"

#define LX_COMMON (XT_WINDOWED | XT_MUL32H | XT_DIV32 | XT_MINMAX | XT_RELEASE | XT_THREADPTR | XT_UNALIGNED)

/* The interrupts are the same on ESP32, S2 and S3. */
#define LX_INTERRUPTS                                                                                        \
  .reset_pc = 0x40000400, .vecbase = 0x40000000, .user = 0x340, .kernel = 0x300, .doubled = 0x3C0,           \
  .level_vector = {0, 0, 0x180, 0x1C0, 0x200, 0x240, 0x280, 0x2C0}, .levels = 7, .excm_level = 3,            \
  .debug_level = 6, .nmi_level = 7,                                                                          \
  .level_mask = {0, 0x000637FF, 0x00380000, 0x28C08800, 0x53000000, 0x84010000, 0, 0x00004000},              \
  .edge = 0x50400400 | 1u << 14, .software = 0x20000080, .timer = {6, 15, 16}, .misc = 4

const struct xtensa_config xtensa_esp32 = {.name = "esp32",
                                           .options = LX_COMMON | XT_LOOPS | XT_S32C1I | XT_MAC16 |
                                                      XT_BOOLEAN | XT_FLOAT,
                                           .configid = {0xC2BCFFFE, 0x1CC5FE96},
                                           LX_INTERRUPTS};

const struct xtensa_config xtensa_esp32s2 = {
    .name = "esp32s2", .options = LX_COMMON | XT_SALT, .configid = {0xC2ECFAFE, 0x22075F76}, LX_INTERRUPTS};

const struct xtensa_config xtensa_esp32s3 = {.name = "esp32s3",
                                             .options = LX_COMMON | XT_LOOPS | XT_S32C1I | XT_MAC16 |
                                                        XT_BOOLEAN | XT_FLOAT | XT_SALT,
                                             .configid = {0xC2F0FFFE, 0x23088EF1},
                                             LX_INTERRUPTS};

const struct xtensa_config xtensa_lx106 = {.name = "lx106",
                                           .options = XT_LITBASE,
                                           .reset_pc = 0x40000080,
                                           .vecbase = 0x40000000,
                                           .configid = {0xC28CDAFA, 0x1082B6F6},
                                           .user = 0x50,
                                           .kernel = 0x30,
                                           .doubled = 0x70,
                                           .level_vector = {0, 0, 0x10, 0x20},
                                           .levels = 3,
                                           .excm_level = 1,
                                           .debug_level = 2,
                                           .nmi_level = 3,
                                           .level_mask = {0, 0x00003FFF, 0, 0x00004000},
                                           .edge = 0x00003F00 | 1u << 14,
                                           .software = 0x00000080,
                                           .timer = {6, -1, -1}};
