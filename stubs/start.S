/* start.S - masks interrupts, sees whether the stub is whole, sets the stack, clears the data that has no initial value,
 * enters stub_main.
 *
 * A ROM takes a stub under a checksum of eight bits. So only one is started of whose words, code and data, the sum that
 * is 33 times the sum before plus the word is 0 in the end (json.lua sets the last word for it): it tells any one
 * changed word, and others but for one in 2^32. What is not whole says nothing, and the host resets the chip. */
#include CHIP_HEADER
    .section .text.entry, "ax"
    .global stub_start
#ifdef __riscv
stub_start:
    csrci mstatus, 8
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    li a2, 0
    la a0, _text
    la a1, _text_end
    jal sum
    la a0, _data
    la a1, _data_end
    jal sum
1:  bnez a2, 1b
    la sp, _stack_top
    la a1, _bss_end /* _bss_start is _data_end, in a0 */
2:  sw a2, 0(a0)
    addi a0, a0, 4
    bltu a0, a1, 2b
    j stub_main
sum:
    lw a3, 0(a0)
    slli a4, a2, 5
    add a2, a2, a4
    add a2, a2, a3
    addi a0, a0, 4
    bltu a0, a1, sum
    ret

    .section .text.rom_call, "ax"
    .global rom_call
rom_call:
    mv t0, a0
    mv a0, a1
    mv a1, a2
    mv a2, a3
    li a3, 0x1000
    li a4, 0x100
    li a5, 0xFFFF
    jr t0
#else
    .literal_position
    .align 4
stub_start:
    rsil a2, 15
    movi a4, 0
    movi a2, _text
    movi a3, _text_end
    call0 sum
    movi a2, _data
    movi a3, _data_end
    call0 sum
1:  bnez a4, 1b
#ifdef ROM_BOOT
    movi a5, rom_stack
    s32i a1, a5, 0
#endif
    movi a1, _stack_top
    movi a3, _bss_end /* _bss_start is _data_end, in a2 */
2:  s32i a4, a2, 0
    addi a2, a2, 4
    bltu a2, a3, 2b
    movi a0, stub_main
    jx a0
    .align 4
sum:
    l32i a5, a2, 0
    slli a6, a4, 5
    add a4, a4, a6
    add a4, a4, a5
    addi a2, a2, 4
    bltu a2, a3, sum
    ret

#ifdef ROM_BOOT
/* Back into the ROM with its own stack, where it goes on to start what is in flash. */
    .global rom_boot
    .align 4
rom_boot:
    movi a2, rom_stack
    l32i a1, a2, 0
    movi a0, ROM_BOOT
    jx a0
    .data
    .align 4
rom_stack: .word 0
#endif

#if defined(ROM_WINDOWED)
/* This code has no register windows, the ROM has. callx4 gives its function the registers from a4 on as its own; what
 * lies below, and our stack, it keeps. Window overflow and underflow are handled by the ROM's vectors. */
    .text
    .literal_position
    .align 4
    .global rom_call
rom_call:
    addi a1, a1, -32
    s32i a0, a1, 0
    s32i a12, a1, 4
    s32i a13, a1, 8
    s32i a14, a1, 12
    s32i a15, a1, 16
    mov a0, a2
    mov a6, a3
    mov a7, a4
    mov a8, a5
    movi a9, 0x1000
    movi a10, 0x100
    movi a11, 0xFFFF
    .byte 0xD0, 0x00, 0x00 /* callx4 a0, which the assembler for the LX106 does not know */
    mov a2, a6
    l32i a0, a1, 0
    l32i a12, a1, 4
    l32i a13, a1, 8
    l32i a14, a1, 12
    l32i a15, a1, 16
    addi a1, a1, 32
    ret
#elif defined(ROM_CALL0)
    .text
    .align 4
    .global rom_call
rom_call:
    mov a8, a2
    mov a2, a3
    mov a3, a4
    mov a4, a5
    jx a8
#endif
#endif
