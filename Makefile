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

B	?= build
PREFIX	?= /usr/local
V	?= 0
FUZZ_SECONDS ?= 60
TOOLS	?= *
Q	:= $(if $(filter 1,$V),,@)
say	 = $(if $(filter 1,$V),,@printf '  %-7s %s\n' $(1) $(2))

VERSION	 := 0.1.0
PACKAGES := fuse3 yaml-0.1 lmdb libiscsi jansson uuid
DEBS	 := gcc make pkg-config libc6-dev fuse3 libfuse3-dev libyaml-dev liblmdb-dev \
	    libiscsi-dev libjansson-dev uuid-dev tgt
DEBS_TEST := libcmocka-dev bats jq attr lmdb-utils man-db python3 procps iproute2 tree \
	    util-linux e2fsprogs clang libclang-rt-14-dev cppcheck
DEBS_TOOLS := ansible ansible-core augeas-lenses augeas-tools busybox cfengine3 cpio crudini ed gawk \
	    git jq moreutils nano perl puppet-agent python3 rsync ruby stress-ng systemd unzip \
	    vim zip

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

RACES	 := race reload ask store sync host_fence
SRC	 := $(filter-out src/man/% src/preload/%,$(wildcard src/*/*.c))
LIB	 := $(SRC:%.c=$B/%.o)
TESTLIB	 := $B/tests/lib.a
binaries  = $(patsubst %.c,$B/%,$(wildcard tests/$(1)/*.c))
PAGES	 := $B/man/attachfs.8 $B/man/attachfs.7 $B/man/attachfs.yaml.5

all: $B/attachfs $(PAGES)

$B/attachfs: $B/src/main.o $B/src/serve.o $(LIB)
	$(call say,LINK,$@)
	$Q$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$B/%.o: %.c
	$(call say,CC,$<)
	$Q mkdir -p $(@D)
	$Q$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(TESTLIB): $(patsubst %.c,$B/%.o,$(wildcard tests/lib/*.c))
	$Q ar rcs $@ $?

# Tools and benches need no test framework, so that the demo needs none.
$B/tests/unit/% $B/tests/drivers/%: LDLIBS += -lcmocka
$B/tests/%: $B/tests/%.o $(TESTLIB) $(LIB)
	$(call say,LINK,$@)
	$Q$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Is preloaded into attachfs, so it needs nothing of it.
$B/tests/crash/%.so: tests/crash/%.c
	$(call say,LINK,$@)
	$Q mkdir -p $(@D) && $(CC) -D_GNU_SOURCE $(OPT) -std=gnu11 -Wall -Wextra \
		$(if $(WERROR),-Werror) -fPIC -shared -o $@ $< -ldl

# Is preloaded into tgtd, which has no sanitizer; attachfs carries it within itself, too.
$B/attachfs-pair.so: src/preload/tgt_pair.c
	$(call say,LINK,$@)
	$Q mkdir -p $(@D) && $(CC) -D_GNU_SOURCE -O2 -s -std=gnu11 -Wall -Wextra \
		$(if $(WERROR),-Werror) -fPIC -shared -o $@ $< -ldl
$B/src/drivers/tgt_pair.o: CFLAGS += -Wa,-I$B
$B/src/drivers/tgt_pair.o: $B/attachfs-pair.so

# The example driver must build, and only that.
$B/tests/drivers/%: | $B/examples/driver_template.o

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
deps-test: deps
	DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $(DEBS_TEST)
deps-tools: deps-test
	DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $(DEBS_TOOLS)

# Installs what is missing and starts over, so that pkg-config is asked again.
need = $(if $(shell dpkg-query -W -f '$${db:Status-Abbrev}\n' $(1) 2>&1 | grep -v '^ii'),$(2))
.PHONY: ready ready-test ready-tools
ready:
	$(if $(call need,$(DEBS),y),$Q $(MAKE) deps)
ready-test:
	$(if $(call need,$(DEBS) $(DEBS_TEST),y),$Q $(MAKE) deps-test)
ready-tools:
	$(if $(call need,$(DEBS) $(DEBS_TEST) $(DEBS_TOOLS),y),$Q $(MAKE) deps-tools)

demo: ready
	$Q $(MAKE) B=$B $B/attachfs $B/tests/tools.d/host
	$Q ATTACHFS=$B/attachfs HOST=$B/tests/tools.d/host examples/tour.sh
stop:
	$Q examples/tour.sh stop

# One process after another: each part says what it ran, tests/summary adds it up.
check: ready-tools
	$Q tests/check B=$B CC=$(CC) WERROR=$(WERROR) SANITIZE=$(SANITIZE) all-tests

tests-built: all $(call binaries,unit) $(call binaries,drivers) $(call binaries,tools.d) \
		$B/tests/crash/faults.so
check-unit: tests-built
	$Q tests/programs $(call binaries,unit)
check-drivers: tests-built
	$Q tests/programs $(call binaries,drivers)
check-fs: tests-built
	$Q B=$B tests/run
# Two files at a time: tools mostly wait for their own start. Each shows its output when it is done.
check-tools: tests-built
	$Q ls tests/tools/$(TOOLS).bats | B=$B BATS_TEST_TIMEOUT=900 xargs -P 2 -I{} sh -c \
		'shown=$$(tests/run {} 2>&1); status=$$?; echo "== {}"; echo "$$shown"; exit $$status'

# Every executable file of tests/crash is a test; TORTURE=1 tells them to take their time.
# $B/kill/attachfs is the program with its kill points (include/attachfs/kill.h).
crash	 := $(shell find tests/crash -maxdepth 1 -type f -perm -u+x 2>/dev/null | sort)
$B/kill/attachfs: FORCE
	$Q $(MAKE) B=$B/kill KILL=1 $@
check-crash: ready-test tests-built $B/kill/attachfs
	$Q B=$B TEST_SECONDS=600 tests/programs $(crash)
torture: ready-test tests-built $B/kill/attachfs
	$Q B=$B TORTURE=1 TEST_SECONDS=36000 tests/programs $(crash)
check-headers:
	$Q tests/headers $(CC) $(CPPFLAGS)
check-layers:
	$Q tests/layers
check-man: $(PAGES)
	$Q for page in $(PAGES); do man --warnings -l $$page 2>&1 >/dev/null | \
		sed "s|^|$$page: |"; done | { ! grep .; }

# What is freed is filled, so that libfuse and others, which are not instrumented, trip over it.
asan: ready-tools
	$Q ASAN_OPTIONS=max_free_fill_size=4096:free_fill_byte=85 tests/check B=$B-asan CC=$(CC) SANITIZE=address,undefined TOOLS=stress \
		check-unit check-drivers check-fs check-tools
tsan: ready-test
	$Q $(MAKE) B=$B-tsan SANITIZE=thread $(RACES:%=$B-tsan/tests/unit/%_test)
	$Q for t in $(RACES); do TSAN_OPTIONS=halt_on_error=1 $B-tsan/tests/unit/$${t}_test || exit 1; done

$B-fuzz/tests/fuzz/%: FORCE
	$Q $(MAKE) B=$B-fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined $B-fuzz/tests/fuzz/$*.o \
		$(LIB:$B/%=$B-fuzz/%)
	$Q clang -fsanitize=fuzzer,address,undefined -o $@ $@.o $(LIB:$B/%=$B-fuzz/%) $(LDLIBS)
fuzz: $(patsubst tests/fuzz/%.c,$B-fuzz/tests/fuzz/%,$(wildcard tests/fuzz/*.c))
	$Q for f in $^; do name=$${f##*/fuzz_}; mkdir -p $B-fuzz/corpus/$$name; \
		$$f -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -print_final_stats=0 \
			$B-fuzz/corpus/$$name tests/fuzz/corpus/$$name || exit 1; done

bench: ready-test
	$Q $(MAKE) B=$B all $(call binaries,bench)
	$Q B=$B tests/bench/run.sh
analyze:
	$Q cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability \
		--suppressions-list=tests/cppcheck.txt --inline-suppr -D_GNU_SOURCE -Iinclude \
		-j2 src examples
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

-include $(shell find $B -type f -name '*.d' 2>/dev/null)

FORCE:
.PRECIOUS: $B/%.o
.PHONY: all deps deps-test deps-tools demo stop check tests-built check-unit check-drivers \
	check-fs check-tools check-crash torture check-headers check-layers check-man asan tsan \
	fuzz bench analyze format install uninstall clean FORCE
