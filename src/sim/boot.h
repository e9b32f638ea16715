/* boot.h - what the ROM prints when it starts, and what it then does. */
#ifndef SIM_BOOT_H
#define SIM_BOOT_H

struct sim_chip;

/* Prints the boot log for a reset of that cause (SIM_RST_...) in that mode (SIM_BOOT_...). In flash mode the
 * header at the bootloader's place is looked at; returns whether there was one. */
int sim_boot_print(struct sim_chip *c, int cause, int mode);

/* What is printed when FLASH_END leaves the loader. */
void sim_boot_left(struct sim_chip *c);

#endif
