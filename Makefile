# Quoit: `make` builds, `make check` says whether the tree is good. `./dev` is what people type.
#
#   make                    build/debug/quoitd, quoit, quoit-sim and the tests
#   make BUILD=release      optimised; assertions stay on
#   make BUILD=asan unit    the unit tests under AddressSanitizer and UBSan
#   make lint unit check-core
#   make install PREFIX=/usr/local

BUILD  ?= debug
PREFIX ?= /usr/local
OUT    := build/$(BUILD)

# `make V=1` shows the commands themselves.
Q   := $(if $(V),,@)
say := $(if $(V),@:,@echo)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
        -Wpointer-arith -Wcast-qual -Wundef -Wvla -Wswitch-enum -Wformat=2 -Wimplicit-fallthrough
CFLAGS.debug   := -O1 -g
CFLAGS.O0      := -O0 -g
CFLAGS.release := -O2 -g
CFLAGS.asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS.tsan    := -O1 -g -fsanitize=thread

LIBRARIES := liburing libuv libxxhash libsodium
ALL_CFLAGS := -std=c17 $(WARN) -Werror -fno-common -fno-omit-frame-pointer -Isrc -I. -I$(OUT) \
              $(CFLAGS.$(firstword $(subst -, ,$(BUILD)))) $(CFLAGS)
# Only what talks to the operating system may see more than standard C.
system := src/env/% src/bin/% tests/%

core    := base wire model store node server
tests   := $(wildcard src/*/*_test.c)
# Suites that several tests call; in no program.
suites  := $(wildcard src/*/*_conformance.c)
objects = $(patsubst %.c,$(OUT)/%.o,$(filter-out $(tests) $(suites),$(wildcard $(1:%=src/%/*.c))))

.PHONY: all lint unit check-core clean install
all: $(OUT)/libcore.a $(OUT)/quoit-test

unit: $(OUT)/quoit-test
	$<

check-core: $(OUT)/libcore.a
	tools/check-core $<

$(OUT)/libcore.a: $(call objects,$(core)) $(OUT)/src/env/env.o
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(OUT)/quoit-test: $(OUT)/tests/main.o $(patsubst %.c,$(OUT)/%.o,$(tests) $(suites)) $(call objects,sim env) $(OUT)/libcore.a
	$(say) LINK $@
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $$(pkg-config --libs $(LIBRARIES)) -lpthread

$(OUT)/tests/main.o: $(OUT)/all_tests.h
$(OUT)/all_tests.h: $(tests) Makefile
	@mkdir -p $(@D)
	@printf 'X(%s)\n' $(sort $(basename $(notdir $(tests)))) >$@

$(OUT)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) $(if $(filter $(system),$<),-D_GNU_SOURCE) -MMD -MP -c -o $@ $<

clean:
	rm -rf build

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
