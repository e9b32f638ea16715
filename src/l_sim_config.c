/* l_sim_config.c - the table that lua/esp/sim.lua builds from a chip's data, as the C structure. */
#include "l_sim_config.h"

#include "l_core.h"

#include <lauxlib.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct member {
  const char *name;
  size_t offset;
};

#define AT(field)                                                                                            \
  { #field, offsetof(struct sim_config, field) }

/* Integers of 32 bits: "rom.status_bytes" is field status_bytes of table rom. */
static const struct member integers[] = {
    AT(rom.status_bytes),
    AT(rom.commands),
    AT(rom.sdm_commands),
    AT(rom.encrypted_word),
    AT(rom.erase_quirk),
    AT(rom.whole_window),
    AT(rom.security),
    AT(rom.ram_block),
    AT(rom.ram_refused),
    AT(rom.read_pointer),
    AT(rom.flash_size),
    AT(spi.base),
    AT(spi.usr),
    AT(spi.usr1),
    AT(spi.usr2),
    AT(spi.mosi_dlen),
    AT(spi.miso_dlen),
    AT(spi.w0),
    AT(spi.addr_msb),
    AT(spi.status),
    AT(spi.dual),
    AT(uart.base),
    AT(uart.clkdiv),
    AT(uart.date),
    AT(uart.date_value),
    AT(uart.layout),
    AT(uart.fsm),
    AT(uart.fifo),
    AT(core.kind),
    AT(core.stack),
    AT(core.reset_addr),
    AT(core.reset_mask),
    AT(usj_base),
    AT(systimer_base),
    AT(wdt.wprotect),
    AT(wdt.config0),
    AT(wdt.config1),
    AT(wdt.key),
    AT(wdt.guard),
    AT(wdt.shift),
    AT(wdt.hold),
    AT(efuse.kind),
    AT(efuse.base),
    AT(efuse.pgm_data),
    AT(efuse.conf),
    AT(efuse.status),
    AT(efuse.cmd),
    AT(efuse.conf_write),
    AT(efuse.conf_read),
    AT(efuse.wr_dis_mask),
    AT(efuse.rd_dis),
    AT(efuse.rd_dis_lsb),
    AT(efuse.rd_dis_mask),
    AT(efuse.coding),
    AT(efuse.coding_lsb),
    AT(chip_id),
    AT(api_version),
    AT(link),
    AT(link_addr),
    AT(link_value),
    AT(vanish),
    AT(max_baud),
    AT(leave_boots),
    AT(strap_addr),
    AT(strap[0]),
    AT(strap[1]),
    AT(boot_code[0]),
    AT(boot_code[1]),
    AT(jedec_id),
    AT(flash_size),
    AT(bootloader_offset),
    AT(spi_connection),
    AT(line_model.paced),
    AT(start_download),
    AT(timing),
    AT(usb_vid),
    AT(usb_pid),
    AT(no_purpose),
    AT(spi_also),
    AT(nand),
    AT(spi2.base),
    AT(spi2.clock),
    AT(spi2.reset),
    AT(spi2.bit),
    AT(spi2.io_mux),
    AT(spi2.in_sel),
    AT(spi2.out_sel),
    AT(spi2.native),
    AT(rom.frame_max),
    AT(uart.auto_conf),
    AT(uart.auto_bit),
    AT(uart.auto_low),
    AT(uart.auto_short),
    AT(uart.auto_high),
    AT(uart.auto_count),
    AT(uart.rx_reset),
    AT(machine.elf),
    AT(machine.unaligned),
    AT(machine.id_addr),
    AT(machine.id_value),
    AT(machine.cache.encrypted),
    AT(crypt.esp32),
    AT(crypt.base),
    AT(crypt.control),
    AT(crypt.line),
    AT(crypt.purpose),
    AT(crypt.purpose_256[0]),
    AT(crypt.purpose_256[1]),
    AT(key_block),
    AT(machine.crypto.sha),
    AT(machine.crypto.sha_old),
    AT(machine.crypto.aes.kind),
    AT(machine.crypto.aes.base),
    AT(machine.crypto.rsa.kind),
    AT(machine.crypto.rsa.base),
    AT(machine.crypto.ecc.base),
    AT(machine.crypto.ecc.size),
    AT(machine.crypto.ecc.curve_mask),
    AT(machine.crypto.ecc.mode_lsb),
    AT(machine.crypto.ecc.mode_mask),
    AT(machine.crypto.ecc.good),
    AT(machine.crypto.ecdsa.base),
    AT(machine.crypto.ecdsa.curve_lsb),
    AT(machine.crypto.ecdsa.curve_mask),
    AT(machine.crypto.ecdsa.memory),
    AT(machine.crypto.ecdsa.size),
    AT(machine.crypto.random[0]),
    AT(machine.crypto.random[1]),
    AT(machine.crypto.random[2]),
    AT(machine.flash_pad),
    AT(machine.cause_addr),
    AT(machine.cause_lsb),
    AT(machine.cause_width),
    AT(machine.irq.kind),
    AT(machine.irq.matrix),
    AT(machine.irq.control),
    AT(machine.irq.enable),
    AT(machine.irq.priority),
    AT(machine.irq.threshold),
    AT(machine.irq.source[0]),
    AT(machine.irq.source[1]),
    AT(machine.cache.kind),
    AT(machine.cache.base),
    AT(machine.cache.index),
    AT(machine.cache.content),
    AT(machine.cache.entries),
    AT(machine.cache.first[0]),
    AT(machine.cache.first[1]),
    AT(machine.cache.first_entry[0]),
    AT(machine.cache.first_entry[1]),
    AT(machine.cache.page),
    AT(machine.cache.page_mask),
    AT(machine.cache.valid),
    AT(machine.cache.valid_value),
    AT(machine.timg.base[0]),
    AT(machine.timg.base[1]),
    AT(machine.timg.calibrated),
};

static const struct member numbers[] = {
    AT(uart.clock),
    AT(uart.rom_clock),
    AT(reenumerate),
    AT(boot_baud),
    AT(core.clock),
    AT(machine.timg.clock),
    AT(machine.timg.slow_clock),
    AT(machine.timg.crystal),
    AT(line_model.latency),
    AT(line_model.stall_time),
    AT(en_delay),
};

static const struct member fields[] = {
    AT(force_download),  AT(flash_power),       AT(secure_boot),         AT(aggressive_revoke),
    AT(key_revoke[0]),   AT(key_revoke[1]),     AT(key_revoke[2]),       AT(crypt_cnt),
    AT(secure_download), AT(download_disabled), AT(dl_encrypt_disabled), AT(soft_dis_jtag),
    AT(hard_dis_jtag),   AT(dis_usb),           AT(dis_dcache),          AT(dis_icache),
    AT(key_purpose[0]),  AT(key_purpose[1]),    AT(key_purpose[2]),      AT(key_purpose[3]),
    AT(key_purpose[4]),  AT(key_purpose[5]),    AT(key_purpose[6]),      AT(crypt_key_length),
    AT(crypt_config),
};

/* Pushes cfg.a.b for "a.b"; nil when a table is missing. "a[1]" is a key like any other. */
static void push_path(lua_State *L, int index, const char *path) {
  lua_pushvalue(L, index);
  for (const char *part = path; *part;) {
    size_t n = strcspn(part, ".");
    if (lua_type(L, -1) == LUA_TTABLE) {
      lua_pushlstring(L, part, n);
      lua_gettable(L, -2);
    } else {
      lua_pushnil(L);
    }
    lua_remove(L, -2);
    part += n + (part[n] == '.');
  }
}

static uint32_t integer_at(lua_State *L, int index, const char *what) {
  int ok;
  lua_Integer v = lua_isnil(L, index) ? 0 : lua_isboolean(L, index) ? lua_toboolean(L, index) : 0;
  if (!lua_isnil(L, index) && !lua_isboolean(L, index)) {
    v = lua_tointegerx(L, index, &ok);
    if (!ok || v < -1 || v > 0xFFFFFFFF)
      luaL_error(L, "simulated chip: field '%s': an integer of 32 bits expected", what);
  }
  return (uint32_t)v;
}

/* Element i of the list on top of the stack. */
static uint32_t element(lua_State *L, int i, const char *what) {
  lua_rawgeti(L, -1, i);
  uint32_t v = integer_at(L, -1, what);
  lua_pop(L, 1);
  return v;
}

static void read_field(lua_State *L, struct sim_field *f, const char *name) {
  f->parts = 0;
  if (lua_type(L, -1) != LUA_TTABLE)
    return;
  int n = (int)lua_rawlen(L, -1);
  luaL_argcheck(L, n <= SIM_FIELD_PARTS, 1, "field has too many parts");
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, -1, i + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    f->part[i].addr = element(L, 1, name);
    f->part[i].lsb = (int)(element(L, 2, name) & 31);
    f->part[i].width = (int)(element(L, 3, name) & 63);
    lua_pop(L, 1);
  }
  f->parts = n;
}

static void text(lua_State *L, int index, const char *path, char *out, size_t size) {
  push_path(L, index, path);
  const char *s = lua_tostring(L, -1);
  snprintf(out, size, "%s", s ? s : "");
  lua_pop(L, 1);
}

/* Pushes the list cfg[name], or an empty one, and returns its length, at most max. */
static int list(lua_State *L, int index, const char *name, int max) {
  if (lua_getfield(L, index, name) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
  }
  int n = (int)lua_rawlen(L, -1);
  if (n > max)
    luaL_error(L, "simulated chip: more than %d in '%s'", max, name);
  return n;
}

static void lists(lua_State *L, int index, struct sim_config *c) {
  c->regions = list(L, index, "regions", SIM_BUS_REGIONS);
  for (int i = 0; i < c->regions; i++) {
    lua_rawgeti(L, -1, i + 1);
    c->region[i] = (struct sim_region){element(L, 1, "regions"), element(L, 2, "regions"),
                                       (int)element(L, 3, "regions")};
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  c->aliases = list(L, index, "aliases", SIM_BUS_ALIASES);
  for (int i = 0; i < c->aliases; i++) {
    lua_rawgeti(L, -1, i + 1);
    c->alias[i] =
        (struct sim_alias){element(L, 1, "aliases"), element(L, 2, "aliases"), element(L, 3, "aliases")};
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  c->core.seconds = list(L, index, "second_core", SIM_SECOND_PARTS);
  for (int i = 0; i < c->core.seconds; i++) {
    lua_rawgeti(L, -1, i + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    c->core.second[i].addr = element(L, 1, "second_core");
    c->core.second[i].mask = element(L, 2, "second_core");
    c->core.second[i].value = element(L, 3, "second_core");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  c->core.traps = list(L, index, "traps", SIM_TRAPS);
  for (int i = 0; i < c->core.traps; i++) {
    lua_rawgeti(L, -1, i + 1);
    c->core.trap[i] = (struct sim_trap){element(L, 1, "traps"), (int)element(L, 2, "traps")};
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  c->presets = list(L, index, "presets", SIM_PRESETS);
  for (int i = 0; i < c->presets; i++) {
    lua_rawgeti(L, -1, i + 1);
    c->preset[i].addr = element(L, 1, "presets");
    c->preset[i].value = element(L, 2, "presets");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  c->nand_faults = list(L, index, "nand_faults", SIM_NAND_FAULTS);
  for (int i = 0; i < c->nand_faults; i++) {
    lua_rawgeti(L, -1, i + 1);
    c->nand_fault[i] = (struct sim_nand_fault){element(L, 1, "nand_faults"), element(L, 2, "nand_faults")};
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  list(L, index, "spi2_pins", SIM_SPI2_PINS);
  for (int i = 0; i < SIM_SPI2_PINS && lua_rawlen(L, -1) == SIM_SPI2_PINS; i++) {
    lua_rawgeti(L, -1, i + 1);
    c->spi2.native_pin[i] = element(L, 1, "spi2_pins") & 63;
    c->spi2.signal[i] = element(L, 2, "spi2_pins") & 0xFF;
    c->spi2.pin[i] = element(L, 3, "spi2_pins") & 63;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  c->fuses = list(L, index, "fuses", SIM_FUSES);
  for (int i = 0; i < c->fuses; i++) {
    lua_rawgeti(L, -1, i + 1);
    c->fuse[i].block = (int)element(L, 1, "fuses");
    c->fuse[i].word = (int)element(L, 2, "fuses");
    c->fuse[i].bits = element(L, 3, "fuses");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  c->efuse.blocks = list(L, index, "efuse_blocks", SIM_EFUSE_BLOCKS);
  for (int i = 0; i < c->efuse.blocks; i++) {
    lua_rawgeti(L, -1, i + 1);
    c->efuse.block[i].read = element(L, 1, "efuse_blocks");
    c->efuse.block[i].words = (int)element(L, 2, "efuse_blocks");
    c->efuse.block[i].write = element(L, 3, "efuse_blocks");
    c->efuse.block[i].write_protect = (int)element(L, 4, "efuse_blocks");
    c->efuse.block[i].read_protect = (int)element(L, 5, "efuse_blocks");
    if (c->efuse.block[i].words > SIM_EFUSE_WORDS)
      luaL_error(L, "simulated chip: eFuse block too long");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* machine_registers: { address, value at reset, bits that read as set, bits that read as clear, bits to
 * echo, shift, kept, forget } by address. */
static void registers(lua_State *L, int index, struct sim_machine_layout *m) {
  m->regs = list(L, index, "machine_registers", SIM_REGISTERS_MAX);
  for (int i = 0; i < m->regs; i++) {
    lua_rawgeti(L, -1, i + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    m->reg[i] = (struct sim_register){element(L, 1, "registers"),      element(L, 2, "registers"),
                                      element(L, 3, "registers"),      element(L, 4, "registers"),
                                      element(L, 5, "registers"),      element(L, 6, "registers") & 31,
                                      (int)element(L, 7, "registers"), (int)element(L, 8, "registers")};
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void faults(lua_State *L, int index, struct sim_config *c) {
  static const char *const direction[] = {"faults_to_host", "faults_to_chip"};
  for (int d = 0; d < 2; d++) {
    struct sim_faults *f = &c->line_model.faults[d];
    list(L, index, direction[d], 0);
    int t = lua_gettop(L);
    f->drop = l_field_num(L, t, "drop", 0);
    f->flip = l_field_num(L, t, "flip", 0);
    f->dup = l_field_num(L, t, "dup", 0);
    f->stall = l_field_num(L, t, "stall", 0);
    f->noise = l_field_num(L, t, "noise", 0);
    f->loss = l_field_num(L, t, "loss", 0);
    lua_pop(L, 1);
  }
  c->line_model.seed = (uint64_t)l_field_int(L, index, "seed", LUA_MININTEGER, LUA_MAXINTEGER, 1);
  c->line_model.faults_from = (uint64_t)l_field_int(L, index, "faults_from", 0, LUA_MAXINTEGER, 0);
  c->line_model.faults_above = l_field_num(L, index, "faults_above", 0);
  c->line_model.unplug = (uint64_t)l_field_int(L, index, "unplug", 0, LUA_MAXINTEGER, 0);
}

void l_sim_config(lua_State *L, int index, struct sim_config *c) {
  char *base = (char *)c;
  luaL_checktype(L, index, LUA_TTABLE);
  memset(c, 0, sizeof *c);
  for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
    push_path(L, index, integers[i].name);
    uint32_t v = integer_at(L, -1, integers[i].name);
    memcpy(base + integers[i].offset, &v, sizeof v);
    lua_pop(L, 1);
  }
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    push_path(L, index, numbers[i].name);
    double v = lua_tonumber(L, -1);
    memcpy(base + numbers[i].offset, &v, sizeof v);
    lua_pop(L, 1);
  }
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    push_path(L, index, fields[i].name);
    read_field(L, (struct sim_field *)(void *)(base + fields[i].offset), fields[i].name);
    if (strncmp(fields[i].name, "key_purpose", 11) == 0 && !lua_isnil(L, -1))
      c->keys++;
    lua_pop(L, 1);
  }
  lists(L, index, c);
  registers(L, index, &c->machine);
  faults(L, index, c);
  text(L, index, "banner", c->banner, sizeof c->banner);
  text(L, index, "line", c->line, sizeof c->line);
  text(L, index, "waiting", c->waiting, sizeof c->waiting);
  text(L, index, "panic", c->panic, sizeof c->panic);
  text(L, index, "panic_store", c->panic_store, sizeof c->panic_store);
  text(L, index, "leave", c->leave, sizeof c->leave);
  text(L, index, "boot_name[0]", c->boot_name[0], sizeof c->boot_name[0]);
  text(L, index, "boot_name[1]", c->boot_name[1], sizeof c->boot_name[1]);
  for (int i = 0; i < SIM_RSTS; i++) {
    char name[24];
    snprintf(name, sizeof name, "reset_name[%d]", i);
    text(L, index, name, c->reset[i].name, sizeof c->reset[i].name);
    snprintf(name, sizeof name, "reset_code[%d]", i);
    push_path(L, index, name);
    c->reset[i].code = integer_at(L, -1, name);
    lua_pop(L, 1);
  }
  lua_getfield(L, index, "flash_file");
  c->flash_file = lua_tostring(L, -1);
  lua_getfield(L, index, "efuse_file");
  c->efuse_file = lua_tostring(L, -1);
  lua_getfield(L, index, "rom_file");
  c->rom_file = lua_tostring(L, -1);
  lua_getfield(L, index, "nand_file");
  c->nand_file = lua_tostring(L, -1);
  lua_pop(L, 4); /* the table keeps them */
}
