/* stub.ld.h - the linker script, after the C preprocessor with the chip's header. */
ENTRY(stub_start)
SECTIONS
{
  .text TEXT_AT : {
    *(.literal .literal.*)
    _code = .;
    *(.text.entry)
#ifdef ROM_PLAIN
#include "order.ld.h"
#endif
    *(.text .text.*)
    _code_end = .;
  }
  .data DATA_AT : {
    __global_pointer$ = . + 0x800; /* it reaches what is near */
    *(.rodata .rodata.* .srodata .srodata.* .data .data.* .sdata .sdata.*)
    . = ALIGN(4);
  }
  .bss (NOLOAD) : ALIGN(4) {
    _bss_start = .;
    *(.sbss .sbss.*)
    *(.bss .bss.* COMMON)
    . = ALIGN(16);
    _bss_end = .;
    . += 4096;
    _stack_top = .;
  }
  ASSERT(_stack_top <= DATA_END, "more memory than there is")
  #ifdef NAND_SPI
  ASSERT(_code_end - _code <= 12288, "more than 12 KiB of code")
#else
  ASSERT(_code_end - _code <= 8192, "more than 8 KiB of code")
#endif
  /DISCARD/ : { *(.comment) *(.riscv.attributes) *(.xtensa.info) *(.note*) *(.eh_frame*) *(.xt.*) }
}
