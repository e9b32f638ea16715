# esplua. `make help` lists what can be made.

CC      ?= cc
CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
WERROR  ?=

LUA_CFLAGS := $(shell pkg-config --cflags lua5.4 2>/dev/null || echo -I/usr/include/lua5.4)
override CPPFLAGS += -D_GNU_SOURCE -Isrc $(LUA_CFLAGS) -MMD -MP
override CFLAGS   += -std=c11 -Wall -Wextra $(WERROR)

# Everything but libc is linked statically; -E lets C modules of stock Lua load into the interpreter.
STATIC := -Wl,--whole-archive,-Bstatic -llua5.4 -Wl,--no-whole-archive \
          -lserialport -lz -lmbedcrypto -luv_a -ledit -lbsd -lmd -ltinfo -Wl,-Bdynamic
LIBS   := $(STATIC) -lm -ldl -lpthread
SHARED := -lserialport -lz -lmbedcrypto -luv -lm -ldl -lpthread

ONLY_MAIN := src/main.c src/repl.c
CORE  := $(filter-out $(ONLY_MAIN),$(wildcard src/*.c src/sim/*.c))
OBJ   := $(CORE:src/%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/pack_data.o
MAIN  := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(wildcard $(ONLY_MAIN)))
PIC   := $(OBJ:$(BUILD)/obj/%=$(BUILD)/pic/%)
PACKED := $(sort $(shell find lua scripts chips -name '*.lua')) \
          $(sort $(wildcard stubs/*.json stubs/*.bin))

all: $(BUILD)/esplua $(BUILD)/esp.so ## the interpreter and the module for a stock lua5.4

$(BUILD)/esplua: $(MAIN) $(OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-E -o $@ $^ $(LIBS)

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

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

.PHONY: all clean help FORCE
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
