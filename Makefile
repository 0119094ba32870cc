# Everything a person or a CI needs. As root on a fresh Debian machine with Go:
#   make demo    a cluster of real hosts on this machine, and the console on it
#   make test    all tests, the ones on real hosts included

GO       ?= go
BIN      := bin/horcrux
DEMO_DIR ?= /var/lib/horcrux-lab
export GOFLAGS := $(GOFLAGS) -trimpath

.PHONY: build demo demo-down test test-unit test-lab test-lab-engine bench lint vuln golden clean

build:
	$(GO) build -o $(BIN) .

demo: build
	$(BIN) lab up --dir $(DEMO_DIR)
	$(BIN) --config $(DEMO_DIR)/hx/config.toml

demo-down: build
	$(BIN) lab down --dir $(DEMO_DIR)

test: lint test-unit test-lab

test-unit:
	$(GO) test -race -timeout 10m ./...

# Real hosts, real migrations. Needs root; installs what is missing, starts
# labs of its own beside any other, and removes them again.
test-lab: build
	HORCRUX=$(abspath $(BIN)) $(GO) test -tags lab -count 1 -p 1 -timeout 25m ./lab ./test

# The connection and the inventory on real hosts, with faults of their own.
test-lab-engine: build
	$(BIN) lab up --prefix hc --subnet 10.79.0.0/24 --nodes 2 --vms minimal
	$(GO) test -tags lab -count 1 -p 1 -timeout 15m ./engine/fleet ./engine/inventory; s=$$?; $(BIN) lab down --prefix hc; exit $$s

bench: build
	$(GO) test -run '^$$' -bench . -benchtime 1s ./ui/... ./engine/...

lint:
	$(GO) vet -tags lab ./...
	$(GO) tool staticcheck -tags lab ./...
	@unformatted=$$($(GO) tool gofumpt -l .); if [ -n "$$unformatted" ]; then echo "not formatted (gofumpt -w .):"; echo "$$unformatted"; exit 1; fi

# Known weaknesses of what we build on; needs a way to vuln.go.dev.
vuln:
	$(GO) tool govulncheck ./...

# Write the golden screens anew, to be read in the diff.
golden:
	$(GO) test ./ui/... -update

clean:
	rm -rf bin
