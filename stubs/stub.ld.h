/* stub.ld.h - the linker script, after the C preprocessor. TEXT_AT, DATA_AT and STACK_TOP come from memory.h. */
ENTRY(stub_start)
SECTIONS
{
  .text TEXT_AT : {
    *(.text.entry) *(.literal .literal.* .text .text.*)
  }
  .data DATA_AT : {
    *(.rodata .rodata.* .srodata .srodata.* .data .data.* .sdata .sdata.*)
    . = ALIGN(4);
  }
  .bss (NOLOAD) : ALIGN(4) {
    _bss_start = .;
    *(.bss .bss.* .sbss .sbss.* COMMON)
    . = ALIGN(16);
    _bss_end = .;
    . += 4096;
    _stack_top = .;
  }
  /DISCARD/ : { *(.comment) *(.riscv.attributes) *(.xtensa.info) *(.note*) *(.eh_frame*) *(.xt.*) }
}
