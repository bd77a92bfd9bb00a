# Inquest: what people type. `make demo` and `make test` each set up what they need.

# From Debian: QEMU and EFI firmware to run guests, the C libraries that Inquest links, and the tools its output is compared
# with.
PACKAGES := qemu-system-x86 libzydis-dev libdw-dev libelf-dev libzstd-dev zlib1g-dev liblzma-dev liblzo2-dev \
	libsnappy-dev libbpf-dev trace-cmd linux-perf ovmf

# What the laboratory is made with, and a second reader of the kernel's types for its tests.
LAB_PACKAGES := kmod cpio busybox-static bpftool

# The command as the demo runs it.
INQUEST := .build/release/inquest

# Swift's libraries are linked in: the command also runs where Swift is not installed, and starts in two thirds of the time.
RELEASE := swift build -c release --static-swift-stdlib

.PHONY: help setup build guests demo test matrix lab-matrix lab lab-test kill-test oracle benchmark docs format lint clean

help:
	@echo 'make demo       a guest dies; Inquest says why; the cure is shown working'
	@echo 'make test       every test'
	@echo 'make lab        the laboratory: a kernel with a real kvm_amd, in which Lab/run runs a job'
	@echo 'make lab-test   the tests that need one'
	@echo 'make build      the command, as $(INQUEST)'
	@echo 'make guests     the example guests, in Guests/build'
	@echo 'make matrix     every example guest, with a trace, without and from the log: docs/matrix.md'
	@echo 'make lab-matrix the same in the laboratory: docs/matrix-lab.md'
	@echo 'make kill-test  nothing is left behind by 500 runs that are killed at random moments'
	@echo 'make oracle     ten million page walks against this KVM, two million against TCG'
	@echo 'make benchmark  reading traces and walking page tables, beside trace-cmd, perf and the monitor of QEMU'
	@echo 'make docs       the manual pages of the causes, in docs/causes'
	@echo 'make format     the sources in their one form'

# Installs what is missing and nothing else, and asks for root only then.
setup:
	@Scripts/setup $(PACKAGES)

build: setup
	$(RELEASE) --product inquest

guests:
	@$(MAKE) -s -C Guests

demo: build guests
	@Scripts/demo $(INQUEST)

test: setup guests lint
	swift test

# Needs neither KVM nor privileges, but for installing packages.
lab: setup
	@Scripts/setup $(LAB_PACKAGES)
	@Lab/build

# Where the kernel cannot be had, Lab/build says so with status 2, and there is nothing to test.
lab-test: setup guests
	@Scripts/setup $(LAB_PACKAGES)
	@status=0; Lab/build || status=$$?; \
	if [ $$status -eq 2 ]; then echo 'lab-test: skipped'; exit 0; fi; [ $$status -eq 0 ] || exit $$status; \
	INQUEST_LAB=Lab/run swift test --no-parallel --filter InLab

# Its part under TCG is in `make test` too, in Swift.
matrix: build guests
	@Scripts/matrix $(INQUEST) > .build/matrix.md; status=$$?; cp .build/matrix.md docs/matrix.md; cat docs/matrix.md; exit $$status

# The same under KVM in the laboratory, with nested paging and with shadow paging.
lab-matrix: build guests lab
	@status=0; for column in npt=1 shadow=0; do \
	  Lab/run --npt $${column#*=} --limit 7200 Scripts/matrix $(INQUEST) $${column%=*}=kvm || status=1; \
	done > .build/matrix-lab.txt; tr -d '\r' < .build/matrix-lab.txt | awk '/^# /{on=1} on; /^Cures/{on=0}' > docs/matrix-lab.md; \
	cat docs/matrix-lab.md; exit $$status

# A few rounds of it are part of `make test`.
kill-test: setup guests
	INQUEST_KILL_ROUNDS=500 INQUEST_KILL_SEED=$$(date +%s) swift test --filter KillTests

# A short slice of it is part of `make test`.
oracle: setup
	INQUEST_ORACLE_CASES=10000000 INQUEST_TCG_CASES=2000000 INQUEST_ORACLE_SEED=$$(date +%s) \
	  swift test --filter PagingOracleTests

benchmark: build guests
	@Scripts/setup time
	@$(RELEASE) --product paging-benchmark
	@Benchmarks/traces.sh $(INQUEST)
	@Benchmarks/paging.sh $(INQUEST)
	@Benchmarks/run.sh $(INQUEST)
	@status=0; $(MAKE) -s lab || status=$$?; [ $$status -eq 0 ] || exit 0; \
	for npt in 1 0; do \
	  echo "In the laboratory with npt=$$npt, a second being 1e9 instructions:"; \
	  Lab/run --count --npt $$npt --limit 3600 env TMPDIR=/run ROUNDS=2 Benchmarks/run.sh $(INQUEST) \
	    .build/lab/kernel/boot/vmlinuz-*; \
	done

docs: build
	@Scripts/manual $(INQUEST)

format:
	swift format --in-place --recursive Package.swift Sources Tests Guests Scripts

lint:
	swift format lint --strict --recursive Package.swift Sources Tests Guests Scripts

clean:
	rm -rf .build
	@$(MAKE) --no-print-directory -C Guests clean
