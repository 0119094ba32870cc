# Everything a person or a CI needs. As root on a fresh Debian machine with Go:
#   make demo    a cluster of real hosts on this machine, and the console on it
#   make test    all tests, the ones on real hosts included

GO       ?= go
BIN      := bin/horcrux
DEMO_DIR ?= /var/lib/horcrux-lab
export GOFLAGS := $(GOFLAGS) -trimpath

.PHONY: build demo demo-down test test-unit test-lab test-lab-engine test-lab-copy test-accept test-long crash chaos soak bench bench-paths bench-copy lint vuln golden clean

build:
	$(GO) build -o $(BIN) .

demo: build
	$(BIN) lab up --dir $(DEMO_DIR)
	$(BIN) --config $(DEMO_DIR)/hx/config.toml

demo-down: build
	$(BIN) lab down --dir $(DEMO_DIR)

# Two labs side by side: their tests wait as much as they work.
test: lint vuln test-unit build
	$(MAKE) -j2 test-lab test-lab-engine test-accept

# The race detector is linked by a C compiler; the scripts that run on nodes are
# tested with what nodes have.
test-unit:
	@for p in gcc perl python3 flock systemd-socket-activate; do command -v $$p >/dev/null || { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends gcc libc6-dev perl-base python3-minimal util-linux systemd && break; } || exit 1; done
	$(GO) test -race -timeout 10m ./...

# RELEASE=trixie: the hosts of ./test's labs run that Debian; node2=trixie: one does.
RELEASE ?=
LABTEST = HORCRUX=$(abspath $(BIN)) HORCRUX_LAB_RELEASE=$(RELEASE) $(GO) test -tags lab -count 1 -p 1 -timeout 60m

# What the second lab does, all of it with VMs of its own making; and what is too
# long, or needs a better QEMU, for every run.
CASES := ^(TestAccept|TestCrash|TestRelay|TestBehindANode|TestPathSSH|TestNotLetIn|TestMovedOn|TestTransientComesBack|TestSavedState|TestOtherMedium|TestKinds|TestRefused.*|TestG4.*|TestG5.*|TestF13TheLimitHolds.*|TestD2.*|TestF12BlockDevice|TestABusyDisk|TestPostCopy|TestPostCopyUnattended|TestPostCopySourceDies|TestB3.*|TestD6.*|TestE6.*|TestE10.*|TestG1Three.*|TestG3Another.*|TestI4.*|TestI5.*)$$
LONG  := ^(TestTheHardDeadline|TestQueueOfALostConsole|TestTheConsoleIsCutOffForAMinute|TestPostCopyGoesOnAfterTheNetworkBroke)$$

# Real hosts, real migrations. Needs root; installs what is missing, starts
# labs of its own beside any other, and removes them again.
test-lab: build
	$(LABTEST) -skip '$(CASES)|$(LONG)' ./lab ./test

# The connection and the inventory on real hosts, with faults of their own.
test-lab-engine: build
	$(BIN) lab up --prefix hc --subnet 10.79.0.0/24 --nodes 2 --vms minimal
	$(GO) test -tags lab -count 1 -p 1 -timeout 15m ./engine/fleet ./engine/inventory; s=$$?; $(BIN) lab down --prefix hc; exit $$s

# ACCEPT=all: every case, and every kind of VM by every mode.
ACCEPT ?= brief
test-accept: build
	HORCRUX_ACCEPT=$(ACCEPT) HORCRUX_LAB_VMS=none HORCRUX_LAB_PREFIX=ha HORCRUX_LAB_SUBNET=10.85.0.0/24 $(LABTEST) -run '$(CASES)$(if $(filter all,$(ACCEPT)),|^TestEveryModeByKeys$$)' ./test

test-long: build
	HORCRUX_LAB_VMS=none $(LABTEST) -v -run '$(LONG)' ./test

# The job's process killed at every record of every mode, on real hosts.
crash: build
	HORCRUX=$(abspath $(BIN)) HORCRUX_CRASH=all HORCRUX_LAB_VMS=none $(GO) test -tags lab -count 1 -v -timeout 90m -run '^TestCrash$$' ./test

# N moves with random faults, repeatable by their SEED.
N    ?= 20
SEED ?= 1
chaos: build
	HORCRUX=$(abspath $(BIN)) HORCRUX_CHAOS_N=$(N) HORCRUX_CHAOS_SEED=$(SEED) HORCRUX_LAB_VMS=none $(GO) test -tags lab -count 1 -v -timeout 120m -run '^TestChaos$$' ./test

# Three guests moved to and fro SOAK times each: none may boot again.
SOAK ?= 50
soak: build
	HORCRUX=$(abspath $(BIN)) HORCRUX_SOAK=$(SOAK) HORCRUX_LAB_VMS=none $(GO) test -tags "lab bench" -count 1 -v -timeout 120m -run '^TestSoak$$' ./test

# Cold copies on real hosts, with faults: about ten minutes.
test-lab-copy: build
	$(BIN) lab up --prefix hk --subnet 10.81.0.0/24 --nodes 2 --vms none
	$(GO) test -tags lab -count 1 -timeout 40m ./engine/store; s=$$?; $(BIN) lab down --prefix hk; exit $$s

# Cold copies against rsync and a byte pipe; PAIRS=5 for more runs of each.
bench-copy: build
	$(BIN) lab up --prefix hk --subnet 10.81.0.0/24 --nodes 2 --vms none
	$(GO) test -tags "lab bench" -count 1 -timeout 60m -run TestLabSpeed -v ./engine/store; s=$$?; $(BIN) lab down --prefix hk; exit $$s

# Whole moves against what an admin would use instead, as ratios (root).
bench: build
	$(GO) test -run '^$$' -bench . -benchtime 1s ./ui/... ./engine/...
	HORCRUX=$(abspath $(BIN)) HORCRUX_LAB_VMS=none $(GO) test -tags "lab bench" -count 1 -v -timeout 60m -run '^TestBench' ./test

# The same move by every way of the data, against virsh and pipes of ssh.
bench-paths: build
	HORCRUX=$(abspath $(BIN)) HORCRUX_LAB_VMS=none $(GO) test -tags "lab bench" -count 1 -v -timeout 30m -run '^TestBenchPaths$$' ./test

lint:
	$(GO) vet -tags "lab bench" ./...
	$(GO) tool staticcheck -tags "lab,bench" ./...
	@unformatted=$$($(GO) tool gofumpt -l .); if [ -n "$$unformatted" ]; then echo "not formatted (gofumpt -w .):"; echo "$$unformatted"; exit 1; fi

# Known weaknesses of what we build on; says so where vuln.go.dev cannot be reached.
vuln:
	GO="$(GO)" .ci/vuln

# Write the golden screens anew, to be read in the diff.
golden:
	$(GO) test ./ui -update

clean:
	rm -rf bin
