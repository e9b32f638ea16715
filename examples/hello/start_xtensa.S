/* start_xtensa.S - entry on the Xtensa chips.
 *
 * The ROM's code uses register windows, hello.c does not (call0 ABI). So the window mechanism is
 * switched off for good, interrupts are masked, and the stack is ours: nobody returns to the ROM. */
  .text
  .literal_position
  .global start
  .type start, @function
  .align 4
start:
  movi a2, 0x2F            /* PS: user vector, interrupt level 15, windows off */
  wsr a2, ps
  rsync
  movi a1, stack_top
  movi a0, 0
  call0 hello
  .size start, . - start
