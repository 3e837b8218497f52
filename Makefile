# ovs-bpf. The targets for people: build, demo, demo-ovn, test, test-kernels, bench, lint, install. All but install work in a fresh clone.

PREFIX     ?= /usr/local
SBINDIR    ?= $(PREFIX)/sbin
BINDIR     ?= $(PREFIX)/bin
UNITDIR    ?= $(PREFIX)/lib/systemd/system
SYSCONFDIR ?= /etc
GO         ?= go
BENCH      ?= .
BENCHFLAGS ?=
COUNT      ?= 5

# Property tests draw the same cases in every run, so that a failure is the change's own; SEED=0 draws anew.
SEED       ?= 1
FUZZTIME   ?= 10

# Packages without the tests that need stock tools, namespaces and traffic; of them, those whose tests use
# rapid (-rapid.seed is unknown to others).
RAPID = $$(grep -rl pgregory.net/rapid --include='*_test.go' . | xargs -n1 dirname | sort -u)
PLAIN = $$($(GO) list ./... | grep -v '/integration\(/\|$$\)' | grep -vxF "$$($(GO) list $(RAPID))")

.PHONY: all build demo demo-ovn test unit integration fuzz test-kernels bench instructions microbench generate check-generated lint setup install clean

all: build

# Static binaries: they run in any container, and --user needs no C library.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/ovs-bpfd ./cmd/ovs-bpfctl

setup:
	.ci/setup

demo: setup build
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./integration/demo/vlantag
	integration/demo/demo.sh

demo-ovn: setup build
	integration/demo/ovn.sh

test: setup unit integration

unit:
	$(GO) test -race -timeout 20m $(PLAIN)
	$(GO) test -race -timeout 20m $(RAPID) -rapid.seed=$(SEED)

# One package after the other: each has both CPUs for its namespaces.
integration:
	$(GO) test -count=1 -p 1 -timeout 30m ./integration/...

# Native fuzzing, FUZZTIME seconds a target: 600 for an hour of all.
fuzz:
	.ci/fuzz $(FUZZTIME)

# On Debian's 6.1 and 6.12 kernels, in virtual machines (KERNELFLAGS="-s 6.1": the short form, on one).
test-kernels: setup
	integration/kernels/kernels.sh $(KERNELFLAGS)

# Ratios to other forwarders (BENCHFLAGS="-rounds 3": fewer rounds; -list tells more), every value in
# bin/bench.jsonl; then nanoseconds per packet of the programs. See docs/performance.md.
bench: setup build
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./integration/bench
	bin/bench -json bin/bench.jsonl $(BENCHFLAGS)
	$(GO) test -run '^$$' -bench '^BenchmarkPacket$$' -benchtime 1x -count $(COUNT) ./datapath/ebpf

# The kernel's instructions per packet, counted in a virtual machine with Debian's 6.12 (integration/kernels/kernels.sh
# tells where vm-run is looked for).
instructions: setup
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./integration/bench
	$${VM_RUN:-../shared/vm/vm-run} -I -k 6.12 -t 1800 -- sh -c 'modprobe veth && modprobe tun && exec bin/bench -instructions'

microbench:
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 30m ./...

# The key's header first: the programs include it.
generate:
	$(GO) generate $$($(GO) list ./... | grep -v '/bpf$$')
	$(GO) generate ./bpf

check-generated:
	.ci/check-generated

lint:
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# The stock openvswitch-switch package rotates the same log: then its file is enough.
install: build
	install -D -m 755 bin/ovs-bpfd $(DESTDIR)$(SBINDIR)/ovs-bpfd
	install -D -m 755 bin/ovs-bpfctl $(DESTDIR)$(BINDIR)/ovs-bpfctl
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSCONFDIR)/logrotate.d
	sed 's|@SBINDIR@|$(SBINDIR)|' cmd/ovs-bpfd/dist/ovs-bpfd.service >$(DESTDIR)$(UNITDIR)/ovs-bpfd.service
	chmod 644 $(DESTDIR)$(UNITDIR)/ovs-bpfd.service
	test -e $(DESTDIR)$(SYSCONFDIR)/logrotate.d/openvswitch-switch || \
		install -m 644 cmd/ovs-bpfd/dist/ovs-bpfd.logrotate $(DESTDIR)$(SYSCONFDIR)/logrotate.d/ovs-bpfd

clean:
	rm -rf bin
