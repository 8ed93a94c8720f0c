# Part of the Makefile: what the tests need, how they are built, how they are run.

FUZZ_SECONDS ?= 60
TOOLS	?= *
DEBS_TEST := libcmocka-dev bats jq attr lmdb-utils man-db python3 procps iproute2 tree \
	    util-linux e2fsprogs clang libclang-rt-14-dev cppcheck
DEBS_TOOLS := ansible ansible-core augeas-lenses augeas-tools busybox cfengine3 cpio crudini ed gawk \
	    git jq moreutils nano perl puppet-agent python3 rsync ruby stress-ng systemd unzip \
	    vim zip

RACES	 := race reload ask store sync host_fence
TESTLIB	 := $B/tests/lib.a
binaries  = $(patsubst %.c,$B/%,$(wildcard tests/$(1)/*.c))

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

# The example driver must build, and only that.
$B/tests/drivers/%: | $B/examples/driver_template.o

deps-test: deps
	DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $(DEBS_TEST)
deps-tools: deps-test
	DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $(DEBS_TOOLS)

ready-test:
	$(if $(call need,$(DEBS) $(DEBS_TEST),y),$Q $(MAKE) deps-test)
ready-tools:
	$(if $(call need,$(DEBS) $(DEBS_TEST) $(DEBS_TOOLS),y),$Q $(MAKE) deps-tools)

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
	$Q ASAN_OPTIONS=max_free_fill_size=4096:free_fill_byte=85 tests/check B=$B-asan CC=$(CC) SANITIZE=address,undefined \
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

.PHONY: deps-test deps-tools ready-test ready-tools check tests-built check-unit check-drivers \
	check-fs check-tools check-crash torture check-headers check-layers check-man asan tsan \
	fuzz bench analyze
