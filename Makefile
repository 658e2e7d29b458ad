# Every command a person needs; `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# rustup puts cargo where a non-login shell does not look.
export PATH := $(PATH):$(HOME)/.cargo/bin

STACK ?= .spike/stack
DEVSTACK = cargo run --quiet --package spike-devstack --bin devstack --
# The running stack's addresses for a recipe; variables that are set already win.
WITH_STACK = while IFS='=' read -r key value; do export "$$key=$${!key:-$$value}"; done < <($(DEVSTACK) env --dir $(STACK)); \
	[ -n "$${SPIKE_REDIS_URL:-}" ] || { echo "no servers: run 'make up' first" >&2; exit 1; };

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## debug build of the whole workspace
	cargo build --workspace --all-targets

.PHONY: release
release: ## optimised build of the one binary, target/release/spike
	BUILD_COMMIT="$$(git rev-parse --short=12 HEAD 2>/dev/null || true)" cargo build --release

.PHONY: fmt
fmt: ## format the code
	cargo fmt --all

.PHONY: lint
lint: ## formatting, the rules of the house and clippy, warnings refused
	cargo fmt --all --check
	cargo xtask tidy
	cargo clippy --workspace --all-targets -- -D warnings

.PHONY: tidy
tidy: ## lengths, layers, stray files, open ends, links and commands of the documents (xtask/tidy.toml)
	@cargo xtask tidy

.PHONY: install-servers
install-servers: ## install Redis, MariaDB and RabbitMQ with apt-get where they are missing
	@deploy/devstack/install-servers.sh

.PHONY: install-peers
install-peers: ## install what the gateway is compared with, nginx with Lua, and wrk, where they are missing
	@deploy/devstack/install-peers.sh

.PHONY: up
up: install-servers ## start private servers in .spike/stack and print their addresses (STACK=folder)
	@$(DEVSTACK) up --dir $(STACK)

.PHONY: down
down: ## stop them; their data stays
	@$(DEVSTACK) down --dir $(STACK)

.PHONY: status
status: ## show which of them run, and where
	@$(DEVSTACK) status --dir $(STACK)

.PHONY: migrate
migrate: ## bring the database of the running stack to the newest schema
	@$(WITH_STACK) cargo run --bin spike -- migrate

.PHONY: run
run: ## gateway and worker against the running stack, until Ctrl-C
	@$(WITH_STACK) cargo build --bin spike; spike="$${CARGO_TARGET_DIR:-target}/debug/spike"; "$$spike" migrate; \
	"$$spike" worker & worker=$$!; "$$spike" gateway & gateway=$$!; \
	trap 'kill "$$worker" "$$gateway" 2>/dev/null || true; wait' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM; \
	wait -n "$$worker" "$$gateway"

.PHONY: demo
demo: up ## a whole sale on real servers, audited (ARGS="--requests 10000 --users 5000 --stock 1000")
	@$(WITH_STACK) cargo run --release --bin spike -- demo --servers $(ARGS)

.PHONY: test
test: ## everything CI checks: lint, licences, docs, every test on real servers
	@deploy/devstack/run-tests.sh

.PHONY: check-deploy
check-deploy: ## Compose's file, the overlays of Kubernetes and the scripts of deploy, without Docker and without a cluster
	@deploy/devstack/install-deploytools.sh
	@deploy/devstack/check-deploy.sh

.PHONY: e2e
e2e: ## one sale from end to end against a running installation (BASE=http://… OPS=http://… WORKER_OPS=http://…)
	@deploy/e2e.sh

.PHONY: model
model: ## explore the stock protocol: every instance, then every condition switched off (docs/MODEL.md)
	@cargo run --quiet --package spike-model -- check
	@cargo run --quiet --package spike-model -- ablate

.PHONY: fuzz-api
fuzz-api: install-servers ## 10,000 and more requests by Schemathesis from the OpenAPI document (EXAMPLES=300 an operation)
	@deploy/devstack/install-schemathesis.sh
	SPIKE_TEST_SCHEMATHESIS="$$PWD/.spike/schemathesis/bin/st" SPIKE_TEST_EXAMPLES="$(or $(EXAMPLES),300)" \
		cargo test --package spike --test e2e -- --ignored --nocapture fuzz_api

.PHONY: fuzz
fuzz: ## look for bytes that break a reader, guided by outcomes, on stable (FUZZ_SECONDS=60 a target, ARGS="resp token")
	cargo run --release --package spike-fuzz -- --seconds "$(or $(FUZZ_SECONDS),60)" $(ARGS)

.PHONY: fuzz-coverage
fuzz-coverage: ## the same guided by coverage; needs a nightly toolchain and cargo-fuzz (FUZZ_SECONDS=60 a target)
	@cargo +nightly fuzz --version >/dev/null 2>&1 || { echo "needs: rustup toolchain install nightly; cargo install cargo-fuzz" >&2; exit 1; }
	@for target in resp press token message; do mkdir -p "fuzz/corpus/$$target"; \
		(cd fuzz && cargo +nightly fuzz run "$$target" "corpus/$$target" "seeds/$$target" -- \
			-max_len=4096 -max_total_time="$(or $(FUZZ_SECONDS),60)"); done

.PHONY: mutants-protocol
mutants-protocol: ## plant 21 protocol bugs one by one and see that a test notices each (docs/FAULTS.md)
	@deploy/devstack/run-mutants.sh

.PHONY: soak
soak: install-servers ## a long sale under random faults, optimised, on servers of its own (SOAK_MINUTES=20 SOAK_SEED=…)
	SPIKE_TEST_SOAK_MINUTES="$(or $(SOAK_MINUTES),20)" SPIKE_TEST_SOAK_SEED="$(SOAK_SEED)" \
		cargo test --profile soak --package spike --test e2e -- --ignored --nocapture nemesis::soak

# The newest commit before this version's own schema; any commit since the settings of the tests were there will do.
FORMER ?= 268f747

.PHONY: upgrade-test
upgrade-test: install-servers ## build a former version (FORMER=commit) and replace it by this one in the middle of a sale (some minutes)
	former="$$(deploy/devstack/build-former.sh $(FORMER))"; SPIKE_TEST_FORMER="$$former" \
		cargo test --package spike --test e2e -- --ignored --nocapture rolling_upgrade

.PHONY: k6
k6: ## load scripts of k6 against a release build on servers of its own (DURATION=30 ARGS="login list order spike all")
	@LOAD_DURATION_S="$(or $(DURATION),30)" loadtest/run-scripts.sh k6 $(ARGS)

.PHONY: wrk
wrk: ## the same with wrk (DURATION=30 ARGS="login list order spike")
	@LOAD_DURATION_S="$(or $(DURATION),30)" loadtest/run-scripts.sh wrk $(ARGS)

.PHONY: criterion
criterion: ## criterion benchmarks of the core (ARGS="--bench jwt -- --save-baseline 2026-11-26" keeps a dated baseline)
	cargo bench --package benches $(ARGS)

.PHONY: bench
bench: compare ## the whole table of targets: every row of `make compare`; exit code 1 when one is missed (some minutes)

.PHONY: compare
compare: install-servers install-peers ## the same, or single groups of it (ARGS="--only sold-out,accepted,overload --rounds 3")
	cargo build --release --package spike --package spike-peers --package spike-bench
	"$${CARGO_TARGET_DIR:-target}/release/spike-load" compare $(ARGS)

LOAD_CARGO = cargo build --release --package spike --package spike-bench
SPIKE_LOAD = "$${CARGO_TARGET_DIR:-target}/release/spike-load"

.PHONY: loadtest
loadtest: install-servers ## a sale of 1,000,000 requests on servers of its own, audited; writes docs/loadtest (ARGS="--requests 10000 --users 5000 --stock 1000")
	$(LOAD_CARGO)
	$(SPIKE_LOAD) stage $(ARGS)

.PHONY: overload
overload: install-servers ## ten times the load of its peak, open loop; writes docs/loadtest (ARGS="--rounds 1 --seconds 3")
	$(LOAD_CARGO)
	$(SPIKE_LOAD) overload $(ARGS)

.PHONY: timing
timing: install-servers ## whether the time of a refused login tells if there is such an account, optimised (some minutes)
	cargo test --profile soak --package spike --package spike-gateway --test it -- --ignored --nocapture unknown_and_known

CARGO_DENY = 0.20.2
CARGO_LLVM_COV = 0.9.1

.PHONY: deny
deny: ## licences, sources and banned crates (deny.toml), by cargo-deny, which is installed in .spike/cargo where it is missing
	@bin="$$(deploy/devstack/install-cargo-tool.sh cargo-deny $(CARGO_DENY))"; cargo fetch --locked; \
	PATH="$$bin:$$PATH" cargo deny --offline check bans licenses sources

.PHONY: coverage
coverage: install-servers install-peers ## how much of the critical paths the tests execute (xtask/coverage.toml), by cargo-llvm-cov; report in .spike/coverage (about half an hour)
	@deploy/devstack/run-coverage.sh "$$(deploy/devstack/install-cargo-tool.sh cargo-llvm-cov $(CARGO_LLVM_COV))"

.PHONY: crowd
crowd: install-servers ## 64 clients, 20,000 operations on ordinary orders of 5 products, on the store and over HTTP; the books must add up
	SPIKE_TEST_OPERATIONS=20000 cargo test --locked -p spike-store --test it -- sixty_four_clients
	SPIKE_TEST_OPERATIONS=20000 cargo test --locked -p spike --test e2e -- sixty_four_clients

.PHONY: docs
docs: ## write docs/ERRORS.md, docs/METRICS.md and the tables of docs/CONFIGURATION.md and .env.example anew from the code
	SPIKE_TEST_WRITE_DOCS=1 cargo test --quiet --package spike-gateway --test it contract::dictionary
	SPIKE_TEST_WRITE_DOCS=1 cargo test --quiet --package spike-metrics --test it document
	SPIKE_TEST_WRITE_DOCS=1 cargo test --quiet --package spike-config --lib page

.PHONY: doc
doc: ## API documentation, warnings refused
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace
