# SPDX-License-Identifier: GPL-2.0-or-later
# `make help` lists the targets and the variables.

prefix      ?= /usr
bindir      ?= $(prefix)/bin
sbindir     ?= $(prefix)/sbin
mandir      ?= $(prefix)/share/man
initramfsdir ?= $(prefix)/share/initramfs-tools
dracutdir   ?= $(prefix)/lib/dracut
docdir      ?= $(prefix)/share/doc/nbd-attach
bashcompdir ?= $(prefix)/share/bash-completion/completions
unitdir     ?= $(prefix)/lib/systemd/system
udevdir     ?= $(prefix)/lib/udev/rules.d
DESTDIR     ?=
BUILD       ?= build
ifeq ($(origin CC),default) # make's own word, "cc"; ?= would leave it
CC          := gcc
endif
CFLAGS      ?= -O2 -g
PKG_CONFIG  ?= pkg-config
VERSION     := 0.1

ifneq ($(V),1)
Q := @
say = @echo "  $(1)	$(2)";
else
say =
endif

ifneq ($(CI)$(WERROR),)
werror := -Werror
endif

linked    := libnl-3.0 libnl-genl-3.0 libudev liburiparser json-c
# These are loaded when they are needed: gnutls-library.h and kmod-library.h have why.
# Who attaches needs none of libseccomp: its filters are made with the program.
libraries := $(linked) gnutls libkmod libseccomp
# The goals that install their own tools first must work before pkg-config is there: ask it only when something is compiled.
lib_cflags = $(shell $(PKG_CONFIG) --cflags $(libraries))
# The dynamic linker looks for each symbol in this order, and the C library has most of them.
lib_libs   = -lc $(shell $(PKG_CONFIG) --libs $(linked))
# What tests call themselves, as servers and to make certificates.
test_libs  = $(lib_libs) $(shell $(PKG_CONFIG) --libs gnutls)

warnings  := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wno-format-nonliteral \
	     -Wno-missing-field-initializers $(if $(findstring clang,$(CC)),,-Wno-format-truncation) $(werror)
comma     := ,
# What the processor can check of jumps and returns. The C library's start files may not be marked as fit for that, and
# one that is not unmarks all; a shadow stack does not mind them.
machine   := $(shell $(CC) -dumpmachine 2>/dev/null)
ifneq ($(filter x86_64-%,$(machine)),)
branches    := -fcf-protection
branches_ld := -Wl,-z,shstk
else ifneq ($(filter aarch64-%,$(machine)),)
branches    := -mbranch-protection=standard
endif
# A distribution's compiler may have a level of its own.
hardening := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection $(branches) -fPIE
hardening_ld := -pie -Wl,-z,relro,-z,now,-z,noexecstack $(branches_ld)
ifneq ($(SANITIZE),)
hardening    := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -fPIE
hardening_ld := -pie -fsanitize=address,undefined
endif
# Below this, clang alone: with libFuzzer, or counting lines.
ifeq ($(SANITIZE),fuzzer)
hardening    += -fsanitize=fuzzer-no-link
fuzz_main_ld := -fsanitize=fuzzer
endif
ifeq ($(SANITIZE),coverage)
hardening    := -fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation -fPIE
hardening_ld := -pie -fprofile-instr-generate
endif

all_cflags = -std=gnu11 $(CFLAGS) $(hardening) $(warnings) -D_GNU_SOURCE -DNBD_ATTACH_VERSION='"$(VERSION)"' \
	     -Ilib -Ikmod-helpers -Inbd-attach -I$(BUILD) $(CPPFLAGS)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(shell find $(1) -name '*.c'))
lib_objects     := $(call objects,lib)
library         := $(BUILD)/libnbdattach.a
helper_objects  := $(call objects,kmod-helpers)
# What make runs is in a room of its own; what that writes is a part of the program.
filters         := $(BUILD)/obj/sandbox-filters
program_objects := $(filter-out %/sandbox-filters.o,$(call objects,nbd-attach)) $(filters).o
# Everything of the program but main(), for tests that call it directly.
program_parts   := $(filter-out %/main.o,$(program_objects))
unit_tests      := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test-*.c))
# What the tests of the state machine have in common.
machine_parts   := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/unit/machine-*.c))
peer_parts      := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out $(wildcard tests/peer/main-*.c tests/peer/*-shim.c),$(wildcard tests/peer/*.c)))
peer_programs   := $(patsubst tests/peer/main-%.c,$(BUILD)/tests/%,$(wildcard tests/peer/main-*.c))
# The server that gets one thing wrong.
audit_parts     := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/audit/*.c))
# The simulator takes the place of what it defines, calls of the C library by --wrap; all else is the
# program's own, out of an archive.
sim_parts       := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/sim/*.c))
sim_wraps       := $(addprefix -Wl$(comma)--wrap=,$(shell grep -hoE '__wrap_[a-z0-9_]+' $(wildcard tests/sim/*.c) | sed 's/^__wrap_//' | sort -u))
# The whole program, with a negotiator that turns on it.
compromised_parts := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/compromised/*.c))
compromised_wraps := $(addprefix -Wl$(comma)--wrap=,$(shell grep -hoE '__wrap_[a-z0-9_]+' $(wildcard tests/compromised/*.c) | sed 's/^__wrap_//' | sort -u))
# Preloaded into other people's servers.
peer_shims      := $(patsubst tests/peer/%.c,$(BUILD)/tests/%.so,$(wildcard tests/peer/*-shim.c))

.PHONY: all
all: $(BUILD)/nbd-attach ## build the program into build/

$(BUILD)/nbd-attach: $(program_objects) $(helper_objects) $(library)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(hardening_ld) -o $@ $^ $(lib_libs)

$(library): $(lib_objects)
	$(call say,AR,$@)rm -f $@; $(AR) rcs $@ $^

# $(call need,LIBRARIES): one sentence for what is missing, before a compiler says it of some header.
need = @missing=; command -v $(PKG_CONFIG) >/dev/null || missing=' $(PKG_CONFIG)'; \
	for library in $(1); do $(PKG_CONFIG) --exists $$library 2>/dev/null || missing="$$missing $$library"; done; \
	[ -z "$$missing" ] || { echo "Missing for building:$$missing. 'sudo make setup' installs all that building and testing need" \
		"on Debian; README.md, Install, names what building alone does." >&2; exit 1; }
# never made, so asked each time
$(BUILD)/need-libraries:
	$(call need,$(libraries))
$(BUILD)/need-cmocka:
	$(call need,cmocka)

# What was built otherwise is built anew: a stamp is touched when its text has changed. The generator alone knows where our units are.
flags_stamp   := $(BUILD)/obj/flags
unitdir_stamp := $(BUILD)/obj/unitdir
$(flags_stamp): stamp_text = $(CC) $(filter-out -Werror -I%,$(all_cflags)) $(LDFLAGS) $(hardening_ld)
$(unitdir_stamp): stamp_text = $(unitdir)
$(flags_stamp): | $(BUILD)/need-libraries
$(unit_tests:$(BUILD)/tests/%=$(BUILD)/obj/tests/unit/%.o): | $(BUILD)/need-cmocka
$(flags_stamp) $(unitdir_stamp): FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(stamp_text))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(stamp_text))' >$@
FORCE:

unitdir_define = -DNBD_ATTACH_UNITDIR='"$(unitdir)"'
generator := $(BUILD)/obj/nbd-attach/cmd/generator.o
$(generator): $(unitdir_stamp)
$(generator): private all_cflags += $(unitdir_define)

$(BUILD)/obj/%.o: %.c $(flags_stamp)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(all_cflags) $(lib_cflags) -MMD -MP -c -o $@ $<

# For the machine that the program is for. When that is another one, EMULATOR runs it: qemu-aarch64, say.
EMULATOR ?=
$(filters): nbd-attach/generate/sandbox-filters.c nbd-attach/child/sandbox-calls.h $(flags_stamp)
	$(call say,LD,$@)$(CC) -std=gnu11 $(CFLAGS) $(warnings) -D_GNU_SOURCE -Ilib -Inbd-attach $(CPPFLAGS) $(lib_cflags) $(LDFLAGS) \
		-o $@ $< $(shell $(PKG_CONFIG) --libs libseccomp)
$(filters).c: $(filters)
	$(call say,GEN,$@)$(EMULATOR) $< >$@.new || { echo "$< cannot run here: is this for another machine? See EMULATOR in 'make help'" >&2; \
		exit 1; }; mv $@.new $@
$(filters).o: $(filters).c
	$(call say,CC,$@)$(CC) $(all_cflags) -c -o $@ $<

$(BUILD)/tests/test-%: $(BUILD)/obj/tests/unit/test-%.o $(program_parts) $(helper_objects) $(library)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(hardening_ld) -o $@ $^ $(test_libs) -lcmocka

$(filter $(BUILD)/tests/test-machine-%,$(unit_tests)): $(machine_parts)
# It says what the kernel says of a socket's TLS.
$(BUILD)/tests/test-negotiation-claims: private LDFLAGS += -Wl,--wrap=getsockopt
$(BUILD)/tests/test-tcp-race: private LDFLAGS += -Wl,--wrap=connect

$(BUILD)/tests/%: $(BUILD)/obj/tests/peer/main-%.o $(peer_parts) $(program_parts) $(helper_objects) $(library)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(hardening_ld) -o $@ $^ $(test_libs)

$(BUILD)/tests/vulnerable: $(audit_parts) $(library)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(hardening_ld) -o $@ $^ $(test_libs)

$(BUILD)/sim/program.a: $(program_parts) $(helper_objects) $(lib_objects)
	@mkdir -p $(@D)
	$(call say,AR,$@)rm -f $@; $(AR) rcsT $@ $^

$(BUILD)/sim/sim: $(sim_parts) $(BUILD)/sim/program.a
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(hardening_ld) $(sim_wraps) -o $@ $^ $(lib_libs)

$(BUILD)/tests/compromised: $(compromised_parts) $(program_objects) $(helper_objects) $(library)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(hardening_ld) $(compromised_wraps) -o $@ $^ $(lib_libs)

# Never sanitized: what it is loaded into is not.
$(BUILD)/tests/%-shim.so: tests/peer/%-shim.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) -std=gnu11 -D_GNU_SOURCE $(CFLAGS) $(warnings) -fPIC -shared $(lib_cflags) -o $@ $<

.PRECIOUS: $(BUILD)/obj/%.o

.PHONY: tests
tests: $(unit_tests) $(peer_programs) $(peer_shims) $(BUILD)/tests/vulnerable $(BUILD)/tests/compromised $(BUILD)/sim/sim ## build the tests' own programs

.PHONY: asan
asan: ## build program and tests with ASan and UBSan into build/asan/
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=1 CFLAGS="-O1 -g" all tests

# Each target is a program with the parts that all share: with libFuzzer (build/fuzz), or with a main() that plays files (tests/fuzz/main.c).
fuzz_targets := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/fuzz-*.c))
fuzz_parts   := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out tests/fuzz/fuzz-% $(if $(filter fuzzer,$(SANITIZE)),%/main.c),$(wildcard tests/fuzz/*.c)))
# What a target, or a part of it, stands in for.
fuzz_wraps    = $(addprefix -Wl$(comma)--wrap=,$(shell grep -hoE '__wrap_[a-z0-9_]+' $(1) | sed 's/^__wrap_//' | sort -u))

$(BUILD)/tests/fuzz-%: $(BUILD)/obj/tests/fuzz/fuzz-%.o $(fuzz_parts) $(program_parts) $(helper_objects) $(library)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(hardening_ld) $(fuzz_main_ld) \
		$(call fuzz_wraps,tests/fuzz/fuzz-$*.c tests/fuzz/server.c) -o $@ $^ $(test_libs)

tests: $(fuzz_targets)

CLANG ?= $(firstword $(foreach name,clang-14 clang,$(shell command -v $(name))))
by_clang = $(if $(CLANG),$(MAKE) --no-print-directory CC=$(CLANG) CFLAGS="-O1 -g",$(error this needs clang: make setup, or CLANG=...))

.PHONY: fuzzers
fuzzers: ## build the fuzz targets with libFuzzer into build/fuzz/ (clang)
	+$(Q)$(by_clang) BUILD=$(BUILD)/fuzz SANITIZE=fuzzer $(patsubst $(BUILD)/%,$(BUILD)/fuzz/%,$(fuzz_targets))

FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: fuzzers ## play the seeds, then fuzz for FUZZ_SECONDS=N each target; what is found is kept in tests/fuzz/seeds
	$(Q)FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run fuzz

.PHONY: counted
counted: ## build program and tests that count their lines into build/coverage/ (clang)
	+$(Q)$(by_clang) BUILD=$(BUILD)/coverage SANITIZE=coverage \
		$(patsubst $(BUILD)/%,$(BUILD)/coverage/%,$(BUILD)/nbd-attach $(unit_tests) $(fuzz_targets) $(BUILD)/tests/hostile)

.PHONY: coverage
coverage: counted ## count the lines that read foreign bytes and that tests reach; fails below 95 % (clang, llvm)
	$(Q)tests/run coverage

# A shim is not linked with the rest, and has flags of its own.
.PHONY: read
read: | $(BUILD)/need-libraries ## have $(CC) read every source, the tests' too, and warn; makes nothing
	$(Q)find lib kmod-helpers nbd-attach tests -name '*.c' -not -name '*-shim.c' -print0 | \
		xargs -0 -n 16 -P "$$(nproc)" $(CC) $(all_cflags) $(unitdir_define) $(lib_cflags) -fsyntax-only

# What is shipped, read by three programs. What they look for stands in .clang-tidy, tests/lint/cppcheck and tests/lint/gcc-analyzer; another
# release of each finds other things. A file has a stamp, so that only what has changed is read again.
lint_sources := $(shell find lib nbd-attach kmod-helpers -name '*.c')
lint_headers := $(shell find lib nbd-attach kmod-helpers -name '*.h')
lint_cflags   = $(filter-out -O% -g -f% -Werror -D_FORTIFY_SOURCE=% -U_FORTIFY_SOURCE -W%,$(all_cflags)) $(unitdir_define) $(lib_cflags)

$(BUILD)/lint/%.tidy: %.c $(lint_headers) .clang-tidy
	@mkdir -p $(@D)
	$(call say,TIDY,$<)clang-tidy-14 --quiet $< -- $(lint_cflags) 2>$@.err || { cat $@.err >&2; exit 1; }; touch $@

$(BUILD)/lint/%.analyzed: %.c $(lint_headers) tests/lint/gcc-analyzer
	@mkdir -p $(@D)
	$(call say,ANALYZE,$<)gcc $(all_cflags) $(unitdir_define) $(lib_cflags) -fanalyzer -Werror \
		$(shell sed -n 's,^$*\.c *\(-W[^ ]*\).*,\1,p' tests/lint/gcc-analyzer) -c -o $@.o $< && rm $@.o && touch $@

$(BUILD)/lint/clang-tidy: $(patsubst %.c,$(BUILD)/lint/%.tidy,$(lint_sources))
	@touch $@
$(BUILD)/lint/gcc-analyzer: $(patsubst %.c,$(BUILD)/lint/%.analyzed,$(lint_sources))
	@touch $@
$(BUILD)/lint/cppcheck: $(lint_sources) $(lint_headers) tests/lint/cppcheck
	@mkdir -p $@.d
	$(call say,CPPCHECK,lib nbd-attach kmod-helpers)cppcheck --quiet --error-exitcode=1 --cppcheck-build-dir=$@.d -j 2 --std=c11 \
		--library=posix --library=gnu --enable=warning,performance,portability --suppressions-list=tests/lint/cppcheck \
		$(filter -I% -D%,$(lint_cflags)) lib nbd-attach kmod-helpers && touch $@

.PHONY: lint
lint: ## clang-tidy, cppcheck and gcc -fanalyzer over what is shipped
	$(Q)tests/run lint

.PHONY: setup
setup: ## install the Debian packages that building and testing need (root)
	$(Q)tests/setup

# Built by root: what is in build/ goes back to the user who called sudo.
as_root := BUILD=$(BUILD) tests/give-back
prepare_check = tests/vm/sources && tests/setup && $(MAKE) --no-print-directory -j2 all tests asan fuzzers counted

.PHONY: demo
demo: ## the main job end to end in a VM, nothing of the host touched (root)
	+$(Q)$(as_root) sh -c 'tests/vm/sources && tests/setup && $(MAKE) -s --no-print-directory all && tests/vm/demo'

.PHONY: check
check: ## every test; ends with "N passed, N failed" (root)
	+$(Q)$(as_root) sh -c '$(prepare_check) && tests/run'

.PHONY: check-all
check-all: ## for a night: every test on every kernel, every boot, FUZZ_SECONDS=N of fuzzing each target: some hours (root)
	+$(Q)FUZZ_SECONDS=$(FUZZ_SECONDS) VM_ALL=1 BOOT_ALL=1 $(as_root) sh -c '$(prepare_check) && tests/run'

.PHONY: check-unit
check-unit: tests asan ## the unit tests alone
	$(Q)tests/run unit

.PHONY: check-host
check-host: all tests asan fuzzers counted ## all tests that need no VM
	$(Q)tests/run source lint unit sim fuzz coverage server hostile compromised audit install initramfs messages systemd harness bench

.PHONY: check-on
check-on: setup ## the tests that need no VM on another Debian: make check-on SUITE=trixie, or forky (root)
	$(Q)tests/check-on "$(SUITE)"

.PHONY: security-table
security-table: all $(peer_programs) $(peer_shims) ## run every attack on every client, and write the table of them (root)
	$(Q)tests/attacks/write-table

.PHONY: bench-docs
bench-docs: ## write docs/benchmarks.md and its charts, of what the bench has measured last
	$(Q)tests/bench/report $(BUILD)/bench/results.json --docs docs

FIRST ?= 1
SEEDS ?= 10000
.PHONY: sim
sim: $(BUILD)/sim/sim ## play SEEDS=N episodes of the simulator, from seed FIRST on
	$(Q)$< 1000000 $(FIRST) $(SEEDS)

.PHONY: check-vm
check-vm: all $(peer_programs) $(peer_shims) ## the VM tests alone: all on 6.12, what depends on the kernel on 6.1 and 7.3
	$(Q)tests/run vm

.PHONY: check-boot
check-boot: all ## a whole Debian with root or disks on NBD, every scenario; tests/boot/check NAME runs one
	$(Q)BOOT_ALL=1 tests/run boot

.PHONY: soak
soak: all $(peer_programs) $(peer_shims) ## the VM tests of supervision, for hours: NBD_SOAK=200 server restarts
	$(Q)tests/vm/soak

# What a client must do, by the instructions of a virtual CPU, beside nbd-client and others: build/bench/results.json.
do_bench = $(as_root) sh -c 'tests/vm/sources && tests/setup && $(MAKE) -s --no-print-directory all && tests/bench/run $(1) && tests/bench/report $(2)'

.PHONY: bench
bench: ## measure this program and others, on 6.12 and 7.3, into docs/benchmarks.md: some 20 minutes (root)
	+$(Q)$(call do_bench,,--docs docs)

.PHONY: bench-quick
bench-quick: ## the most telling rows and workloads of bench, on 6.12: some 4 minutes (root)
	+$(Q)$(call do_bench,--quick)

.PHONY: bench-profile
bench-profile: ## where the instructions of the bench's client go, by function, on 6.12 (root)
	+$(Q)$(as_root) sh -c 'tests/vm/sources && tests/setup && $(MAKE) -s --no-print-directory all && tests/bench/profile'

units := $(notdir $(wildcard systemd/nbd-attach*))

# Where something is put. Those that were not there are noted, for uninstall.
made_list := $(prefix)/lib/nbd-attach/made-directories
install_dirs = $(bindir) $(sbindir) $(mandir)/man5 $(mandir)/man7 $(mandir)/man8 $(prefix)/lib/systemd/system-generators $(bashcompdir) \
	$(prefix)/lib/modprobe.d $(prefix)/lib/sysusers.d $(udevdir) $(unitdir) $(docdir) $(initramfsdir)/hooks $(initramfsdir)/conf-hooks.d \
	$(initramfsdir)/scripts/local-top $(initramfsdir)/scripts/local-bottom $(prefix)/lib/nbd-attach $(dracutdir)/modules.d/95nbd-attach \
	$(dracutdir)/dracut.conf.d

.PHONY: install
install: all ## install below $(DESTDIR)$(prefix)
	@made=$$(for dir in $(install_dirs); do while [ "$$dir" != / ] && [ ! -d "$(DESTDIR)$$dir" ]; do echo "$$dir"; dir=$${dir%/*}; \
		dir=$${dir:-/}; done; done; cat "$(DESTDIR)$(made_list)" 2>/dev/null || :); \
		mkdir -p "$(DESTDIR)$(prefix)/lib/nbd-attach" && printf '%s\n' "$$made" | sort -u >"$(DESTDIR)$(made_list)" && \
		chmod 0644 "$(DESTDIR)$(made_list)"
	install -D -m 0755 $(BUILD)/nbd-attach $(DESTDIR)$(sbindir)/nbd-attach
	install -d $(DESTDIR)$(bindir)
	[ $(DESTDIR)$(bindir) -ef $(DESTDIR)$(sbindir) ] || ln -srf $(DESTDIR)$(sbindir)/nbd-attach $(DESTDIR)$(bindir)/nbd-attach
	install -D -m 0644 docs/nbd-attach.8 $(DESTDIR)$(mandir)/man8/nbd-attach.8
	install -D -m 0644 docs/nbdtab.5 $(DESTDIR)$(mandir)/man5/nbdtab.5
	install -d $(DESTDIR)$(prefix)/lib/systemd/system-generators
	ln -sf $(sbindir)/nbd-attach $(DESTDIR)$(prefix)/lib/systemd/system-generators/nbd-attach-generator
	install -D -m 0644 nbd-attach/completion.bash $(DESTDIR)$(bashcompdir)/nbd-attach
	install -D -m 0644 kmod-helpers/modprobe.d/nbd-attach.conf $(DESTDIR)$(prefix)/lib/modprobe.d/nbd-attach.conf
	install -D -m 0644 kmod-helpers/sysusers.d/nbd-attach.conf $(DESTDIR)$(prefix)/lib/sysusers.d/nbd-attach.conf
	install -D -m 0644 kmod-helpers/udev/60-nbd-attach.rules $(DESTDIR)$(udevdir)/60-nbd-attach.rules
	install -D -m 0644 kmod-helpers/udev/99-nbd-attach-queue.rules $(DESTDIR)$(udevdir)/99-nbd-attach-queue.rules
	install -d $(DESTDIR)$(unitdir)
	for unit in $(units); do sed 's,/usr/sbin/nbd-attach,$(sbindir)/nbd-attach,' "systemd/$$unit" >"$(DESTDIR)$(unitdir)/$$unit" && \
		chmod 0644 "$(DESTDIR)$(unitdir)/$$unit" || exit 1; done
	install -D -m 0644 docs/mount.md $(DESTDIR)$(docdir)/mount.md
	install -D -m 0644 README.md $(DESTDIR)$(docdir)/README.md
	install -D -m 0644 docs/nbd-attach-initramfs.7 $(DESTDIR)$(mandir)/man7/nbd-attach-initramfs.7
	install -D -m 0644 docs/reconnect.md $(DESTDIR)$(docdir)/reconnect.md
	install -D -m 0644 docs/boot.md $(DESTDIR)$(docdir)/boot.md
	install -D -m 0644 docs/performance.md $(DESTDIR)$(docdir)/performance.md
	install -D -m 0644 -t $(DESTDIR)$(docdir) docs/benchmarks.md docs/bench-cpu.svg docs/bench-switches.svg
	install -D -m 0644 docs/security.md $(DESTDIR)$(docdir)/security.md
	install -D -m 0644 docs/security-table.md $(DESTDIR)$(docdir)/security-table.md
	install -D -m 0755 -t $(DESTDIR)$(initramfsdir)/hooks kmod-helpers/initramfs-tools/hooks/nbd-attach
	install -D -m 0644 -t $(DESTDIR)$(initramfsdir)/conf-hooks.d kmod-helpers/initramfs-tools/conf-hooks.d/nbd-attach
	install -D -m 0755 -t $(DESTDIR)$(initramfsdir)/scripts/local-top kmod-helpers/initramfs-tools/scripts/local-top/nbd-attach
	install -D -m 0755 -t $(DESTDIR)$(initramfsdir)/scripts/local-bottom kmod-helpers/initramfs-tools/scripts/local-bottom/nbd-attach
	install -D -m 0644 -t $(DESTDIR)$(prefix)/lib/nbd-attach kmod-helpers/initramfs/shutdown-limits.sh
	install -D -m 0644 kmod-helpers/initramfs/modules $(DESTDIR)$(prefix)/lib/nbd-attach/initramfs-modules
	install -D -m 0755 -t $(DESTDIR)$(dracutdir)/modules.d/95nbd-attach kmod-helpers/dracut/95nbd-attach/*.sh
	install -D -m 0644 -t $(DESTDIR)$(dracutdir)/dracut.conf.d kmod-helpers/dracut/nbd-attach.conf
	@$(as_root) true

.PHONY: uninstall
uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(sbindir)/nbd-attach $(DESTDIR)$(bindir)/nbd-attach $(DESTDIR)$(mandir)/man8/nbd-attach.8 $(DESTDIR)$(bashcompdir)/nbd-attach \
		$(DESTDIR)$(mandir)/man5/nbdtab.5 $(DESTDIR)$(prefix)/lib/systemd/system-generators/nbd-attach-generator \
		$(DESTDIR)$(prefix)/lib/modprobe.d/nbd-attach.conf $(DESTDIR)$(prefix)/lib/sysusers.d/nbd-attach.conf $(DESTDIR)$(docdir)/README.md \
		$(DESTDIR)$(docdir)/reconnect.md $(DESTDIR)$(docdir)/mount.md $(DESTDIR)$(udevdir)/60-nbd-attach.rules \
		$(DESTDIR)$(udevdir)/99-nbd-attach-queue.rules \
		$(addprefix $(DESTDIR)$(unitdir)/,$(units)) \
		$(DESTDIR)$(dracutdir)/dracut.conf.d/nbd-attach.conf \
		$(addprefix $(DESTDIR)$(initramfsdir)/,hooks/nbd-attach conf-hooks.d/nbd-attach scripts/local-top/nbd-attach scripts/local-bottom/nbd-attach)
	rm -f $(DESTDIR)$(mandir)/man7/nbd-attach-initramfs.7 $(DESTDIR)$(docdir)/boot.md $(DESTDIR)$(docdir)/performance.md $(DESTDIR)$(docdir)/security.md \
		$(DESTDIR)$(docdir)/security-table.md $(addprefix $(DESTDIR)$(docdir)/,benchmarks.md bench-cpu.svg bench-switches.svg)
	rm -rf $(DESTDIR)$(dracutdir)/modules.d/95nbd-attach
	made=$$(sort -r "$(DESTDIR)$(made_list)" 2>/dev/null); rm -rf $(DESTDIR)$(prefix)/lib/nbd-attach; \
		for dir in $$made; do rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$dir" 2>/dev/null || :; done

.PHONY: clean
clean: ## remove what was built; downloads and what fuzzers have gathered stay
	[ ! -d $(BUILD)/boot ] || find $(BUILD)/boot -mindepth 1 -maxdepth 1 ! -name 'base-*' -exec rm -rf {} +
	rm -rf $(BUILD)/obj $(BUILD)/asan $(BUILD)/fuzz/obj $(BUILD)/fuzz/tests $(BUILD)/fuzz/$(notdir $(library)) $(BUILD)/coverage $(BUILD)/lint $(BUILD)/sim $(BUILD)/tests $(BUILD)/vm $(BUILD)/nbd-attach $(library)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo "Variables: DESTDIR prefix bindir sbindir mandir docdir bashcompdir unitdir udevdir initramfsdir dracutdir"
	@echo "           CC CFLAGS CPPFLAGS LDFLAGS BUILD; V=1 shows the commands, WERROR=1 adds -Werror, SANITIZE=1 ASan and UBSan"
	@echo "           EMULATOR runs what was built for another machine, when cross compiling: make CC=aarch64-linux-gnu-gcc EMULATOR=qemu-aarch64"
	@echo "           CLANG and FUZZ_SECONDS (60) for fuzz; SEEDS and FIRST for sim"

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
