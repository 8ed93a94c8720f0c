# attachfs: build, demo, tests.
#
# Build      all (build/attachfs, man pages)  install  uninstall  clean  format
#            deps (Debian packages)  deps-test (those of the tests too)
#            deps-tools (and those whose work on the mount is tested: Ansible, vim ...)
# Try        demo (start, attach, prove, leave it mounted)  stop
# Tests      check = check-unit check-drivers check-fs check-tools check-headers check-layers
#            check-man
#            asan (all tests under ASan and UBSan)  tsan (the concurrent ones)
#            check-crash (kills, power loss, full disks; minutes)  torture (the same, hours)
#            fuzz (FUZZ_SECONDS=60 each)  analyze (cppcheck)  bench (figures; no test)
# Variables  TOOLS=NAME (only that file of tests/tools)  STRESS_SECONDS=1 (of its stress)
#            CC=gcc|clang  V=1 (show commands)  B=build (output folder)  WERROR=1
#            SANITIZE=address,undefined|thread  KILL=1 (with kill points)
#            PREFIX=/usr/local  DESTDIR=
#            BENCH="writes attach many place read list memory" (parts of bench)
# Rules of the tests are in tests/tests.mk.

B	?= build
PREFIX	?= /usr/local
V	?= 0
Q	:= $(if $(filter 1,$V),,@)
say	 = $(if $(filter 1,$V),,@printf '  %-7s %s\n' $(1) $(2))

VERSION	 := 0.1.0
PACKAGES := fuse3 yaml-0.1 lmdb libiscsi jansson uuid
DEBS	 := gcc make pkg-config libc6-dev fuse3 libfuse3-dev libyaml-dev liblmdb-dev \
	    libiscsi-dev libjansson-dev uuid-dev tgt

have_pc	 := $(shell pkg-config --exists $(PACKAGES) 2>/dev/null && echo yes)
OPT	 ?= -O2 -g
CFLAGS	 += $(OPT) -std=gnu11 -Wall -Wextra -Wshadow -Wmissing-prototypes -Wswitch-enum \
	    -Wstrict-prototypes -Wformat=2 -fno-common -fstack-protector-strong \
	    $(if $(WERROR),-Werror) \
	    $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer \
	    -Wno-format-truncation) # gcc takes UBSan's null checks for null formats
CPPFLAGS += -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=314 \
	    -DATTACHFS_VERSION='"$(VERSION)"' -Iinclude \
	    $(if $(KILL),-DATTACHFS_KILL_POINTS) \
	    $(if $(have_pc),$(shell pkg-config --cflags $(PACKAGES)))
LDFLAGS	 += $(if $(SANITIZE),-fsanitize=$(SANITIZE))
LDLIBS	 += $(if $(have_pc),$(shell pkg-config --libs $(PACKAGES))) -lpthread

SRC	 := $(filter-out src/man/% src/preload/%,$(wildcard src/*/*.c))
LIB	 := $(SRC:%.c=$B/%.o)
PAGES	 := $B/man/attachfs.8 $B/man/attachfs.7 $B/man/attachfs.yaml.5

all: $B/attachfs $(PAGES)

$B/attachfs: $B/src/main.o $B/src/serve.o $(LIB)
	$(call say,LINK,$@)
	$Q$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$B/%.o: %.c
	$(call say,CC,$<)
	$Q mkdir -p $(@D)
	$Q$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Is preloaded into tgtd, which has no sanitizer; attachfs carries it within itself, too.
$B/attachfs-pair.so: src/preload/tgt_pair.c
	$(call say,LINK,$@)
	$Q mkdir -p $(@D) && $(CC) -D_GNU_SOURCE -O2 -s -std=gnu11 -Wall -Wextra \
		$(if $(WERROR),-Werror) -fPIC -shared -o $@ $< -ldl
$B/src/drivers/tgt_pair.o: CFLAGS += -Wa,-I$B
$B/src/drivers/tgt_pair.o: $B/attachfs-pair.so

# The tree's reference is written by the attribute tables themselves.
$B/mantree: $B/src/man/mantree.o $(LIB)
	$(call say,LINK,$@)
	$Q$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$B/man/attachfs.7: src/man/attachfs.7.in $B/mantree
	$(call say,MAN,$@)
	$Q mkdir -p $(@D) && $B/mantree >$B/tree.roff
	$Q sed -e '/^@TREE@$$/{r $B/tree.roff' -e 'd;}' $< >$@

$B/man/%: src/man/%
	$Q mkdir -p $(@D) && cp $< $@

deps:
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $(DEBS)

# Installs what is missing and starts over, so that pkg-config is asked again.
need = $(if $(shell dpkg-query -W -f '$${db:Status-Abbrev}\n' $(1) 2>&1 | grep -v '^ii'),$(2))
ready:
	$(if $(call need,$(DEBS),y),$Q $(MAKE) deps)

demo: ready
	$Q $(MAKE) B=$B $B/attachfs $B/tests/tools.d/host
	$Q ATTACHFS=$B/attachfs HOST=$B/tests/tools.d/host examples/tour.sh
stop:
	$Q examples/tour.sh stop

format:
	$Q clang-format -i $$(git ls-files '*.c' '*.h')

install: all
	install -D -m 755 $B/attachfs $(DESTDIR)$(PREFIX)/sbin/attachfs
	install -D -m 644 $B/attachfs-pair.so $(DESTDIR)$(PREFIX)/lib/attachfs/attachfs-pair.so
	for n in 5 7 8; do install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$$n \
		$B/man/*.$$n; done
	install -D -m 644 src/systemd/attachfs.service \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/attachfs.service
	sed -i 's|@SBIN@|$(PREFIX)/sbin|' $(DESTDIR)$(PREFIX)/lib/systemd/system/attachfs.service
	install -D -m 644 src/completion/attachfs \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/attachfs
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/attachfs $(DESTDIR)$(PREFIX)/share/man/man8/attachfs.8 \
		$(DESTDIR)$(PREFIX)/lib/attachfs/attachfs-pair.so \
		$(DESTDIR)$(PREFIX)/share/man/man7/attachfs.7 \
		$(DESTDIR)$(PREFIX)/share/man/man5/attachfs.yaml.5 \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/attachfs.service \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/attachfs
clean:
	rm -rf $B $B-asan $B-tsan $B-fuzz

include tests/tests.mk
-include $(shell find $B -type f -name '*.d' 2>/dev/null)

FORCE:
.PRECIOUS: $B/%.o
.PHONY: all deps ready demo stop format install uninstall clean FORCE
