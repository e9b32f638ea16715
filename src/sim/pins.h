/* pins.h - what DTR and RTS do to the chip. */
#ifndef SIM_PINS_H
#define SIM_PINS_H

struct sim_chip;

/* The lines have changed (c->dtr, c->rts). On a board with the usual two transistors:
 *
 *     DTR  RTS   EN    IO0
 *      0    0    high  high
 *      1    0    high  low
 *      0    1    low   high
 *      1    1    high  high   (EN rises slowly: a capacitor holds it)
 *
 * EN rising starts the chip, which looks at IO0 then. On USB-Serial/JTAG the peripheral itself interprets
 * them: DTR alone asks for download mode, neither takes that back, RTS alone resets. */
void sim_pins_changed(struct sim_chip *c);

/* Whether EN is about to rise; then lets it when its time has come. */
void sim_pins_run(struct sim_chip *c);

#endif
