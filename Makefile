# attachfs: build, demo, tests.
#
# Targets    all (build/attachfs)  deps  demo  stop  install  uninstall  clean  format
# Tests      check = check-unit + check-drivers + check-fs + check-docs
#            asan  tsan  fuzz  bench  analyze  check-headers  check-layers
# Variables  CC=gcc|clang  V=1 (show commands)  B=build (output folder)  PREFIX=/usr/local
#            DESTDIR=  SANITIZE=address,undefined|thread  WERROR=1  T=name (only tests so named)

B	?= build
PREFIX	?= /usr/local
V	?= 0
Q	:= $(if $(filter 1,$V),,@)
say	 = $(if $(filter 1,$V),,@printf '  %-7s %s\n' $(1) $(2))

VERSION	 := 0.1.0
PACKAGES := fuse3 yaml-0.1 lmdb libiscsi jansson uuid
DEBS	 := gcc make pkg-config fuse3 libfuse3-dev libyaml-dev liblmdb-dev libiscsi-dev \
	    libjansson-dev uuid-dev tgt
DEBS_TEST := libcmocka-dev bats jq attr lmdb-utils man-db python3 clang clang-format \
	    cppcheck libclang-rt-14-dev util-linux

have_pc	 := $(shell pkg-config --exists $(PACKAGES) 2>/dev/null && echo yes)
CFLAGS	 ?= -O2 -g
CFLAGS	 += -std=gnu11 -Wall -Wextra -Wshadow -Wmissing-prototypes -Wswitch-enum \
	    -Wstrict-prototypes -Wformat=2 -fno-common -fstack-protector-strong \
	    $(if $(WERROR),-Werror) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer)
CPPFLAGS += -D_GNU_SOURCE -DFUSE_USE_VERSION=314 -DATTACHFS_VERSION='"$(VERSION)"' -Iinclude \
	    $(if $(have_pc),$(shell pkg-config --cflags $(PACKAGES)))
LDFLAGS	 += $(if $(SANITIZE),-fsanitize=$(SANITIZE))
LDLIBS	 += $(if $(have_pc),$(shell pkg-config --libs $(PACKAGES))) -lpthread

SRC	 := $(wildcard src/*/*.c)
LIB	 := $(SRC:%.c=$B/%.o)
UNIT	 := $(patsubst tests/%.c,$B/tests/%,$(wildcard tests/unit/*.c tests/drivers/*.c))
TOOLS	 := $(patsubst tests/%.c,$B/tests/%,$(wildcard tests/tools.d/*.c))
BENCH	 := $(patsubst tests/%.c,$B/tests/%,$(wildcard tests/bench/*.c))
FUZZ	 := $(patsubst tests/%.c,$B/tests/%,$(wildcard tests/fuzz/*.c))
TESTLIB	 := $(patsubst %.c,$B/%.o,$(wildcard tests/lib/*.c))

all: $B/attachfs

$B/attachfs: $B/src/main.o $(LIB)
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$B/%.o: %.c
	$(call say,CC,$<)
	$Q mkdir -p $(@D)
	$Q$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$B/tests/%: $B/tests/%.o $(TESTLIB) $(LIB)
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

-include $(shell find $B -name '*.d' 2>/dev/null)

.PRECIOUS: $B/%.o
.PHONY: all
