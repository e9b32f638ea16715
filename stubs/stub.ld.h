/* stub.ld.h - the linker script, after the C preprocessor with the chip's header. */
ENTRY(stub_start)
SECTIONS
{
  .text TEXT_AT : {
    *(.literal .literal.*) *(.text.entry) *(.text .text.*)
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
  ASSERT(_stack_top <= DATA_END, "more memory than there is")
  ASSERT(SIZEOF(.text) <= 8192, "more than 8 KiB of code")
  /DISCARD/ : { *(.comment) *(.riscv.attributes) *(.xtensa.info) *(.note*) *(.eh_frame*) *(.xt.*) }
}
