/* start.S - masks interrupts, sets the stack, clears the data that has no initial value, enters stub_main. */
    .section .text.entry, "ax"
    .global stub_start
#ifdef __riscv
stub_start:
    csrci mstatus, 8
    la sp, _stack_top
    la t0, _bss_start
    la t1, _bss_end
1:  bgeu t0, t1, 2f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 1b
2:  j stub_main
#else
    .literal_position
    .align 4
stub_start:
    rsil a2, 15
    movi a1, _stack_top
    movi a2, _bss_start
    movi a3, _bss_end
    movi a4, 0
1:  bgeu a2, a3, 2f
    s32i a4, a2, 0
    addi a2, a2, 4
    j 1b
2:  movi a0, stub_main
    jx a0
#endif
