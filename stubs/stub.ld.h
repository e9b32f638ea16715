/* stub.ld.h - the linker script, after the C preprocessor with the chip's header. */
ENTRY(stub_start)
SECTIONS
{
  .text TEXT_AT : {
    _text = .;
    *(.literal .literal.*)
    _code = .;
    *(.text.entry)
#ifdef ROM_PLAIN
#include "order.ld.h"
#endif
    *(.text .text.*)
    _code_end = .;
    . = ALIGN(4);
    _text_end = .;
  }
  .data DATA_AT : {
    _data = .;
    __global_pointer$ = . + 0x800; /* it reaches what is near */
    *(.rodata .rodata.* .srodata .srodata.* .data .data.* .sdata .sdata.*)
    . = ALIGN(4);
    LONG(0) /* set by json.lua so that start.S finds a sum of 0 */
    _data_end = .;
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
  ASSERT(_bss_start == _data_end, "start.S takes the one for the other")
  ASSERT(_stack_top <= DATA_END, "more memory than there is")
  #ifdef NAND_SPI
  ASSERT(_code_end - _code <= 12288, "more than 12 KiB of code")
#else
  ASSERT(_code_end - _code <= 8192, "more than 8 KiB of code")
#endif
  /DISCARD/ : { *(.comment) *(.riscv.attributes) *(.xtensa.info) *(.note*) *(.eh_frame*) *(.xt.*) }
}
