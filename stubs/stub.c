/* stub.c - everything in one, so that the compiler sees what is used only once. */
#include "io.c"
#include "usb.c"
#ifdef NAND_SPI
#include "nand.c"
#endif
#include "flash.c"
#include "digest.c"
#include "write.c"
#include "inflate.c"
#include "read.c"
#include "main.c"
#ifdef NAND_SPI
#include "nand_commands.c"
#endif
