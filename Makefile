# The only door. `make help` lists every target.
#
# Variables: FRESH=1 (run: start over), DATA=dir (run: where the data lives), LISTEN=addr:port (127.0.0.1:7420),
# JINKE_ER and JINKE_RIGS (folders with labelled data and with rigs, for the targets that need them),
# JINKE_TEST_POSTGRES (URL of a PostgreSQL server for the tests; found or started when unset).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

DATA ?= data
TARGET := $(or $(CARGO_TARGET_DIR),./target)
JINKE := $(TARGET)/release/jinke
# Many tests wait: for a process to start, for a lease to end. Two of them would leave cores idle.
TEST_THREADS := $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n > 4 ? n : 4)))

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: tools
tools: # Installs what a build needs beyond Rust, where it is missing.
	@command -v cc >/dev/null || { echo "a C compiler is needed (Debian: apt-get install build-essential)"; exit 1; }
	@command -v cargo >/dev/null || { echo "Rust is needed: https://rustup.rs"; exit 1; }

.PHONY: build
build: tools ## Build the suite (release)
	cargo build --release -p jinke-suite

.PHONY: run
run: build ## Start the suite on SQLite, pull the sample sources, merge, answer over gRPC (FRESH=1 starts over)
	$(JINKE) run --samples --data-dir $(DATA) $(if $(LISTEN),--listen $(LISTEN)) $(if $(FRESH),--fresh)

.PHONY: run-split
run-split: build ## Every service as a process of its own with TLS on PostgreSQL, until Ctrl-C (SPLIT_ARGS: --mutual; --postgres URL --dir D keeps the data)
	cargo build --release -p jinke-identity -p jinke-customer -p jinke-runner -p jinke-pipeline -p jinke-reporting -p jinke-gateway --bins
	cargo build --release -p jinke-tests --bin split
	tests/with-postgres.sh $(TARGET)/release/split $(SPLIT_ARGS)

.PHONY: test
test: tools ## All tests on both engines; finds or starts PostgreSQL itself
	cargo test --workspace --no-run # builds the programs too: every package that has one has tests that run it
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$(TEST_THREADS)} tests/with-postgres.sh cargo test --workspace --quiet --no-fail-fast
	tests/python-client.sh $(abspath $(TARGET))/debug/jinke
	k8s/check.sh $(TARGET)/debug
	tests/gateway-clients.sh $(abspath $(TARGET))/debug/jinke
	tests/grade-rfm.sh $(abspath $(TARGET))/debug/jinke

.PHONY: k8s-check
k8s-check: tools ## Check the Kubernetes manifests against schemas and programs (part of test)
	cargo build --workspace --bins
	k8s/check.sh $(TARGET)/debug

.PHONY: test-rigs
test-rigs: tools ## Connectors against real servers (needs JINKE_RIGS, a folder with tryton.sh)
	@[ -n "$${JINKE_RIGS:-}" ] || { echo "set JINKE_RIGS to the folder with the rigs (tryton.sh start|stop PORT)"; exit 1; }
	@for d in "$$JINKE_RIGS" "$$JINKE_RIGS/rigs"; do [ ! -f "$$d/tryton.sh" ] || exit 0; done; \
	  echo "$$JINKE_RIGS has no tryton.sh"; exit 1
	tests/with-postgres.sh tests/rigs.sh

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

.PHONY: fmt-check
fmt-check: ## Check the format
	cargo fmt --all --check

.PHONY: lint
lint: tools ## Clippy with warnings denied, and buf where npm is present
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v npm >/dev/null; then \
	  npm exec --yes --package=@bufbuild/buf@1.57.2 -- buf lint proto; \
	else echo "npm is not here: buf lint skipped (the rules that matter also run as tests)"; fi

.PHONY: doc
doc: ## Build the API documentation of the crates
	cargo doc --workspace --no-deps

.PHONY: bench
bench: build ## All benchmarks beside their calibrations, an hour or less (BENCH_ARGS="ingest 100000" runs one mode: ingest load connections serve reporting pipeline lookup)
	cargo build --release -p jinke-tests --bin bench
	JINKE_PG_FSYNC=on tests/with-postgres.sh $(TARGET)/release/bench $(BENCH_ARGS)

.PHONY: bench-resolution
bench-resolution: build ## Accuracy and speed of jinke resolve beside Splink (needs JINKE_ER; SETS="…" picks)
	@[ -n "$${JINKE_ER:-}" ] || { echo "set JINKE_ER to the folder with the labelled data"; exit 1; }
	python3 tests/bench_resolution.py $(JINKE) $(SETS)

.PHONY: traps
traps: tools ## How resolution fares with what goes wrong among records, class by class (TRAPS_ARGS: --count N --only TABLE --show CLASS)
	cargo run --release -p jinke-resolution --example traps -- $(TRAPS_ARGS)

.PHONY: quality
quality: build ## Accuracy over the gRPC API on labelled data (needs JINKE_ER)
	@[ -n "$${JINKE_ER:-}" ] || { echo "set JINKE_ER to the folder with the labelled data"; exit 1; }
	cargo build --release -p jinke-tests --bin quality
	$(TARGET)/release/quality "$$JINKE_ER"

.PHONY: batch-equality
batch-equality: tools ## 100,000 records (RECORDS=n) through the service and through the batch engine: the same clusters
	JINKE_BATCH_RECORDS=$${RECORDS:-100000} cargo test --release -p jinke-customer --test engine batch:: -- --nocapture

.PHONY: soak
soak: tools ## Long random runs, faults of half a minute; SEED=n repeats one, CASES=n sets how many
	cargo test --workspace --no-run
	JINKE_SOAK=$${CASES:-500} JINKE_SEED=$${SEED:-} tests/with-postgres.sh cargo test -p jinke-customer -p jinke-pipeline -p jinke-tests -- --nocapture soak
	JINKE_SOAK_KILLS=100 tests/with-postgres.sh cargo test -p jinke-reporting --test it killed_and_restarted
	tests/gateway-clients.sh $(abspath $(TARGET))/debug/jinke 200

.PHONY: clean
clean: ## Remove build output (not the data)
	cargo clean
