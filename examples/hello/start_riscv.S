/* start_riscv.S - entry on the RISC-V chips: mask interrupts, take a stack of our own, never return. */
  .section .text.start, "ax"
  .global start
  .type start, @function
start:
  csrci mstatus, 8         /* MIE */
  la sp, stack_top
  li ra, 0
  j hello
  .size start, . - start
