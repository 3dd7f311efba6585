# Quoit: `make` builds everything there is. `./dev` is what people type.
#
#   make                     the programs and the unit tests, in build/debug
#   make BUILD=release       optimised and hardened; assertions stay on
#   make BUILD=O0            not optimised at all
#   make BUILD=asan          AddressSanitizer and UBSan; `tsan` is ThreadSanitizer
#   make BUILD=debug-clang   any of them with clang: what follows the dash names the compiler
#   make BUILD=fuzz fuzz     libFuzzer's programs, by clang
#   make unit check-core tidy
#   make install PREFIX=/usr/local DESTDIR=
BUILD  ?= debug
PREFIX ?= /usr/local
OUT    := build/$(BUILD)

# `make V=1` shows the commands themselves.
Q   := $(if $(V),,@)
say := $(if $(V),@:,@echo)

variant  := $(firstword $(subst -, ,$(BUILD)))
compiler := $(or $(word 2,$(subst -, ,$(BUILD))),$(if $(filter fuzz,$(variant)),clang))
ifneq ($(compiler),)
CC := $(compiler)
endif

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
        -Wpointer-arith -Wcast-qual -Wundef -Wvla -Wswitch-enum -Wformat=2 -Wimplicit-fallthrough
CFLAGS.debug    := -O1 -g
CFLAGS.O0       := -O0 -g
CFLAGS.release  := -O2 -g -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2
CFLAGS.asan     := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS.tsan     := -O1 -g -fsanitize=thread
CFLAGS.fuzz     := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS.release := -pie -Wl,-z,relro,-z,now

ALL_CFLAGS  := -std=c17 $(WARN) -Werror -fno-common -fno-omit-frame-pointer -Isrc -I. -I$(OUT) \
               $(CFLAGS.$(variant)) $(CFLAGS)
ALL_LDFLAGS := $(LDFLAGS.$(variant)) $(LDFLAGS)
# Only what talks to the operating system may see more than standard C.
system      := src/env/% src/bin/% tests/% fuzz/% bench/%
defines      = $(if $(filter $(system),$<),-D_GNU_SOURCE)

# Every program is the core, the parts it names, and its own files in src/bin.
core            := base wire model store node server
parts.quoitd    := env
parts.quoit-sim := sim
main.quoitd     := src/bin/quoitd.c src/bin/cli_terminal.c $(wildcard src/bin/daemon_*.c)
main.quoit      := src/bin/quoit.c $(wildcard src/bin/cli_*.c)
main.quoit-sim  := src/bin/quoit_sim.c $(wildcard src/bin/sim_*.c) tests/malloc_trap.c
libs.quoitd     := liburing libuv libxxhash libsodium liblz4 libzstd inih
libs.quoit      := hiredis jansson libxxhash libsodium liblz4 libzstd
libs.quoit-sim  := libxxhash libsodium liblz4 libzstd
libs.quoit-test := liburing libuv libxxhash libsodium liblz4 libzstd cmocka
libs.fuzz       := libxxhash libsodium liblz4 libzstd
libs.bench-engine := liburing libuv libxxhash libsodium liblz4 libzstd
programs := $(foreach p,quoitd quoit quoit-sim,$(if $(wildcard $(firstword $(main.$p))),$p))

tests    := $(sort $(wildcard src/*/*_test.c tests/*_test.c))
# In quoit-test only: suites that several tests call, and what the tests stand on.
helpers  := $(wildcard src/*/*_conformance.c) tests/main.c tests/golden.c tests/malloc_trap.c
fuzzers  := $(patsubst fuzz/%_fuzz.c,%,$(wildcard fuzz/*_fuzz.c))
to_objects = $(patsubst %.c,$(OUT)/%.o,$1)
objects    = $(call to_objects,$(filter-out $(tests) $(helpers),$(wildcard $(1:%=src/%/*.c))))
libraries  = $(if $1,$$(pkg-config --libs $1)) -lpthread
link       = $(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(call libraries,$(libs.$1))

.PHONY: all programs unit check-core tidy fuzz install clean FORCE
.SECONDEXPANSION:
.DELETE_ON_ERROR:
all: programs $(OUT)/libcore.a $(OUT)/quoit-test
programs: $(programs:%=$(OUT)/%)

unit: $(OUT)/quoit-test
	tools/unit $<

check-core: $(OUT)/libcore.a
	tools/check-core $<

# A list of names that changes only when a file comes or goes: what is made of all of them depends
# on it.
$(OUT)/all_tests.h: FORCE
	@mkdir -p $(@D)
	@{ printf 'X(%s)\n' $(basename $(notdir $(tests))); } | cmp -s - $@ || \
	    printf 'X(%s)\n' $(basename $(notdir $(tests))) >$@
$(OUT)/sources: FORCE
	@mkdir -p $(@D)
	@ls src/*/*.c | cmp -s - $@ || ls src/*/*.c >$@

$(OUT)/libcore.a: $(call objects,$(core)) $(OUT)/src/env/env.o $(OUT)/sources
	$(Q)rm -f $@ && $(AR) qcs $@ $(filter %.o,$^)

$(programs:%=$(OUT)/%): $(OUT)/%: $$(call to_objects,$$(main.$$*)) $$(call objects,$$(parts.$$*)) \
                                  $(OUT)/libcore.a
	$(say) LINK $@
	$(call link,$*)

$(OUT)/quoit-test: $(call to_objects,$(helpers) $(tests)) $(call objects,sim env) $(OUT)/libcore.a
	$(say) LINK $@
	$(call link,quoit-test) -lm -Wl,--wrap=_cmocka_run_group_tests

# One program a decoder: under libFuzzer in build/fuzz, else with a main that replays files.
replay := $(if $(filter-out fuzz,$(variant)),fuzz/replay.c)
fuzz: $(fuzzers:%=$(OUT)/fuzz-%)
$(OUT)/fuzz-%: $(OUT)/fuzz/%_fuzz.o $(call to_objects,fuzz/must.c $(replay)) $(OUT)/libcore.a
	$(say) LINK $@
	$(Q)$(CC) $(ALL_CFLAGS) $(if $(filter fuzz,$(variant)),-fsanitize=fuzzer) -o $@ $(filter %.o %.a,$^) \
	    $(call libraries,$(libs.fuzz))

# Storage engines side by side, for bench/engine. The others come from Debian and are in no product.
$(OUT)/bench-engine: $(call to_objects,$(wildcard bench/engine_*.c)) $(call objects,env) $(OUT)/libcore.a
	$(say) LINK $@
	$(call link,bench-engine) -lrocksdb -lleveldb

# Small measurements of one thing: bench-allocation, bench-compress, bench-versions.
$(OUT)/bench-%: $(OUT)/bench/%_bench.o $(OUT)/libcore.a
	$(say) LINK $@
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(call libraries,$(libs.fuzz))

$(OUT)/%.o: %.c Makefile | $(OUT)/all_tests.h
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) $(defines) -MMD -MP -c -o $@ $<

# clang-tidy, once for each object that changed. Its analyzer follows all ways through a function,
# which takes most of the time: tests go their ways under the sanitizers.
tidy: $(call to_objects,$(wildcard src/*/*.c tests/*.c fuzz/*.c)) \
      $(patsubst %.c,$(OUT)/%.tidy,$(wildcard src/*/*.c tests/*.c fuzz/*.c))
$(OUT)/%.tidy: %.c $(OUT)/%.o .clang-tidy
	$(say) TIDY $<
	$(Q)clang-tidy --quiet $(if $(filter %_test.c,$<),--checks=-clang-analyzer-*) $< -- $(filter-out -Werror,$(ALL_CFLAGS)) $(defines) 2>/dev/null && touch $@

install:
	$(MAKE) BUILD=release programs
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/quoit
	install $(programs:%=build/release/%) $(DESTDIR)$(PREFIX)/bin
	install -m 644 README.md LICENSE $(wildcard examples/*) $(DESTDIR)$(PREFIX)/share/doc/quoit
	for page in $(wildcard man/*.[1-8]); do install -D -m 644 $$page \
	    $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; done

clean:
	rm -rf build

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
