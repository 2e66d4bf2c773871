# Tools run at these versions without being part of go.mod.
GOLANGCI    := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := go run golang.org/x/vuln/cmd/govulncheck@v1.9.0
BENCHSTAT   := go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

# How long each fuzz target runs, and how often each benchmark.
FUZZTIME ?= 30s
COUNT    ?= 10

# How often the program is killed under load.
KILLS ?= 1000

# How often an instance is restarted under load.
RESTARTS ?= 20

# How long each attack lasts, in milliseconds.
SOAK ?= 20000

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

.PHONY: build
build: ## make ./tollbook
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o tollbook ./cmd/tollbook

.PHONY: test
test: ## run every test under the race detector
	go test -race ./...

.PHONY: lint
lint: ## vet, lint, and hold go.mod to the imports
	go vet ./...
	$(GOLANGCI) run
	go mod tidy -diff

.PHONY: crash
crash: ## kill the program KILLS times under load
	TOLLBOOK_TEST_KILLS=$(KILLS) TOLLBOOK_TEST_REQUIRE=all \
		go test -race -count=1 -v -run '^TestKill' ./cmd/tollbook

.PHONY: rolling
rolling: ## restart two instances in turn, under load, behind a TCP balancer
	TOLLBOOK_TEST_RESTARTS=$(RESTARTS) TOLLBOOK_TEST_REQUIRE=all \
		go test -count=1 -v -run '^TestRolling' ./cmd/tollbook

.PHONY: soak
soak: ## attack the program beside a good load, with nothing else on the machine
	TOLLBOOK_TEST_SOAK=$(SOAK) TOLLBOOK_TEST_SOAK_SCALE=100 TOLLBOOK_TEST_SOAK_P99=1 \
		TOLLBOOK_TEST_REQUIRE=all go test -count=1 -v -run '^TestSoak$$' ./cmd/tollbook

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME
	@set -e; for pkg in $$(go list ./...); do \
		names=$$(go test -list '^Fuzz' $$pkg); \
		for target in $$(echo "$$names" | grep '^Fuzz'); do \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; \
		done; \
	done

.PHONY: bench
bench: ## run every benchmark COUNT times; compare with bench.old.txt if it is there
	go test -run '^$$' -bench . -benchmem -count $(COUNT) ./... | tee bench.txt
	$(BENCHSTAT) $(wildcard bench.old.txt) bench.txt

.PHONY: vuln
vuln: ## look for known vulnerabilities in what is called
	$(GOVULNCHECK) ./...

.PHONY: cover
cover: ## show what the tests reach, function by function
	go test -coverprofile cover.out -coverpkg ./... ./...
	go tool cover -func cover.out

.PHONY: check
check: build lint test vuln ## everything that must hold before a change is merged
