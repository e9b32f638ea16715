# esplua. `make help` lists what can be made.

CC      ?= cc
CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
WERROR  ?=
FUZZ_RUNS ?= 20000
SAN   := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

# What a fresh Debian machine needs to build, then what only the tests need.
PACKAGES := gcc make pkg-config liblua5.4-dev libserialport-dev zlib1g-dev libmbedtls-dev nettle-dev libuv1-dev \
            libedit-dev libbsd-dev libmd-dev libncurses-dev \
            lua5.4 lua-busted lua-check clang libclang-rt-dev gcc-riscv64-unknown-elf gcc-xtensa-lx106

LUA_CFLAGS := $(shell pkg-config --cflags lua5.4 2>/dev/null || echo -I/usr/include/lua5.4)
override CPPFLAGS += -D_GNU_SOURCE -Isrc $(LUA_CFLAGS) -MMD -MP
override CFLAGS   += -std=c11 -Wall -Wextra $(WERROR)

# libuv's archive has another name in Debian 12.
UV := $(if $(wildcard /usr/lib/*/libuv_a.a),-luv_a,-luv)
# Everything but libc is linked statically; C modules of a stock Lua find the Lua API in the binary.
STATIC := -Wl,--whole-archive,-Bstatic -llua5.4 -Wl,--no-whole-archive \
          -lserialport -lz -lmbedcrypto -lnettle $(UV) -ledit -lbsd -lmd -ltinfo -Wl,-Bdynamic
LIBS   := $(STATIC) -lm -ldl -lpthread
SHARED := -lserialport -lz -lmbedcrypto -lnettle -luv -lm -ldl -lpthread

ONLY_MAIN := src/main.c src/repl.c
CORE  := $(filter-out $(ONLY_MAIN),$(wildcard src/*.c src/sim/*.c))
OBJ   := $(CORE:src/%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/pack_data.o
MAIN  := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(wildcard $(ONLY_MAIN)))
PIC   := $(OBJ:$(BUILD)/obj/%=$(BUILD)/pic/%)
PACKED := $(sort $(shell find lua scripts chips -name '*.lua')) \
          $(sort $(wildcard stubs/*.json stubs/*.bin)) $(sort $(wildcard doc/licenses/*.txt))

all: $(BUILD)/esplua $(BUILD)/esp.so ## the interpreter and the module for a stock lua5.4

$(BUILD)/esplua: $(MAIN) $(OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--export-dynamic-symbol='lua_*',--export-dynamic-symbol='luaL_*' -o $@ $^ $(LIBS)

$(BUILD)/esp.so: $(PIC)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -o $@ $^ $(SHARED)

$(BUILD)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/pic/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -c -o $@ $<

# Lua sources and chip data go into the binary, compressed.
$(BUILD)/embed: src/tools/embed.c
	@mkdir -p $(@D)
	$(CC) -O2 -std=c11 -Wall -Wextra -o $@ $< -lz

$(BUILD)/pack.list: FORCE
	@mkdir -p $(@D)
	@echo $(PACKED) | cmp -s - $@ || echo $(PACKED) > $@
FORCE:

$(BUILD)/pack_data.c: $(BUILD)/embed $(BUILD)/pack.list $(PACKED)
	$(BUILD)/embed $(PACKED) > $@.tmp && mv $@.tmp $@

$(BUILD)/obj/pack_data.o $(BUILD)/pic/pack_data.o: $(BUILD)/pack_data.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -c -o $@ $<

deps: ## install the Debian packages that are missing
	@missing=; for p in $(PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "installing:$$missing"; \
	  $(SUDO) apt-get update -q && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; fi

demo: deps ## flash a real image to a simulated chip and read it back
	@$(MAKE) -s all
	@$(BUILD)/esplua examples/demo.lua

check: deps ## all tests: plain, sanitizers, constant collecting, luacheck, fuzzers
	@BUILD=$(BUILD)/check MAKE="$(MAKE)" SAN="$(SAN)" FUZZ_RUNS=$(FUZZ_RUNS) sh spec/check.sh

rom-check: all ## hold the loader's model against mask ROMs: ESPLUA_ROMS=FOLDER make rom-check
	@$(BUILD)/esplua spec/rom_check.lua $(ROM_CHECK)

rom-matrix: all ## hosts, with their stubs and without, against mask ROMs: ESPLUA_ROMS=FOLDER ESPTOOL="python3 -m esptool" make rom-matrix
	@$(BUILD)/esplua spec/rom_matrix.lua $(ROM_MATRIX)

fuzz: deps ## run the fuzzers longer: make fuzz FUZZ_RUNS=1000000
	@$(MAKE) -s -j2 BUILD=$(BUILD)/check/san CFLAGS="$(SAN)" $(BUILD)/check/san/esplua
	@BUILD=$(BUILD)/check MAKE="$(MAKE)" FUZZ_RUNS=$(FUZZ_RUNS) sh spec/fuzz/run.sh

$(BUILD)/measure: src/tools/measure.c
	@mkdir -p $(@D)
	$(CC) -O2 -std=c11 -D_GNU_SOURCE -Wall -Wextra -o $@ $<

$(BUILD)/stretch.so: src/tools/stretch.c
	@mkdir -p $(@D)
	$(CC) -O2 -std=c11 -Wall -Wextra -fPIC -shared -o $@ $< -ldl

# STRETCH=4: the line's benchmark in slow motion, on a machine that is too busy for it
bench: all $(BUILD)/measure $(BUILD)/stretch.so ## speed and memory, as ratios measured side by side in one run
	@for b in bench/*_bench.lua; do echo "== $$b"; preload=; \
	  if [ -n "$(STRETCH)" ] && [ $$b = bench/line_bench.lua ]; then preload=$(CURDIR)/$(BUILD)/stretch.so; fi; \
	  STRETCH=$(STRETCH) LD_PRELOAD=$$preload ESPLUA=$(BUILD)/esplua MEASURE=$(BUILD)/measure $(BUILD)/esplua $$b || exit 1; done

install: all ## install under PREFIX (and DESTDIR)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/lua/5.4 $(DESTDIR)$(PREFIX)/share/doc/esplua
	install -s -m 755 $(BUILD)/esplua $(DESTDIR)$(PREFIX)/bin/esplua
	install -m 644 $(BUILD)/esp.so $(DESTDIR)$(PREFIX)/lib/lua/5.4/esp.so
	install -m 644 README.md LICENSE $(wildcard doc/*.md) $(DESTDIR)$(PREFIX)/share/doc/esplua

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

.PHONY: all deps demo check rom-check rom-matrix fuzz bench install clean help FORCE
-include $(shell find $(BUILD)/obj $(BUILD)/pic -name '*.d' 2>/dev/null)
