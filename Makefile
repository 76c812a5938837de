# The targets that people call; each says what it does in its own line of `make help`.
.POSIX:
.SUFFIXES:

SECONDS = 60
FUZZ_SECONDS = 15
SEEDS = 2000
ROUNDS = 200
MINUTES = 60
THREADS = 2 4
# The short round of `make threads`.
THREADED = tests/clients/test_resume.py tests/clients/test_rooms.py tests/clients/test_presence.py tests/clients/test_streams.py \
    tests/clients/test_tokens.py tests/clients/test_shares.py tests/clients/test_limits.py tests/clients/test_manage.py \
    tests/clients/test_handlers.py tests/clients/test_metrics.py tests/clients/test_kill.py
# Kinds of machines that packages are made for.
ARCHITECTURES = x86_64,aarch64
# Tests of clients mostly wait: so many files are tested at once.
WORKERS = 3
PYTHON = target/test-python/bin/python

help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 18

run: ## start the server with its embedded database
	cargo run --release --locked

PARTS = test-rust sim test-clients test-browser test-autobahn test-fuzz test-dist

test: ## install what the tests need and run them all; a part that fails does not stop the others
	@mkdir -p target && rm -f target/left-out.*
	@# What the clients' tests need is fetched while Rust compiles; they wait for it, and say it if it fails.
	@$(MAKE) --no-print-directory setup >target/setup.log 2>&1 & sh tests/parts.sh $(PARTS); result=$$?; wait; exit $$result

lint: ## formatting, lints and documentation, warnings denied
	cargo fmt --check --all
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo fmt --check --manifest-path benches/peers/Cargo.toml
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --no-default-features --lib --example parse_frames --example serve_blocking -- -D warnings
	cargo clippy --locked --no-default-features --features wire --lib -- -D warnings
	cargo clippy --locked --no-default-features --features server --lib -- -D warnings
	cargo clippy --locked --no-default-features --features client --lib --example autobahn_client --example client_bot --example client_bridge --example client_feed --example client_load -- -D warnings
	cargo clippy --locked --manifest-path examples/tokio/Cargo.toml --target-dir target -- -D warnings
	cargo clippy --locked --package parlor-c -- -D warnings
	cargo clippy --locked --package parlor-loom --all-targets -- -D warnings
	cargo clippy --locked --package parlor-c --no-default-features --features server -- -D warnings
	cargo clippy --locked --no-default-features --features reactor --lib --example echo --example fan_out -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps

setup: ## install what the tests need: from Debian, crates.io, PyPI and npm
	sh tests/setup.sh

binaries:
	cargo build --release --locked --bin parlor --example echo --example bot --example queue --example pipeline --example sohbet --example fan_out --example autobahn_client --example serve_blocking --example tls_echo \
	    --example client_bot --example client_bridge --example client_feed --example client_load
	cargo build --locked --manifest-path examples/tokio/Cargo.toml --target-dir target

c: ## the libraries for C, in target/c: libparlor and libparlor-server, each as .a and .so.0
	sh clients/c/build.sh target/c

# For tests, the server's is built so that it shares what it is made of with the tests of Rust.
c-tests:
	sh clients/c/build.sh target/c client
	PROFILE=dev sh clients/c/build.sh target/c server

test-rust: ## unit tests, property tests, architecture, embedding
	@failed=0; set -x; \
	cargo test --locked --quiet --no-fail-fast || failed=1; \
	cargo test --locked --quiet --no-default-features --lib --test protocol_properties --test corpus_replay || failed=1; \
	cargo test --locked --quiet --package parlor-loom || failed=1; \
	exit $$failed

sim: ## run the simulator on SEEDS (2000; n or from..to); SEED=n TRACE=1 prints all that happens in one
	SEEDS='$(SEEDS)' SEED='$(SEED)' TRACE='$(TRACE)' \
	    sh tests/simulation/cargo.sh

sim-mutants: ## put known bugs in, one at a time, and print the seed by which the simulator finds each
	SEEDS='$(SEEDS)' sh tests/simulation/mutants.sh

test-clients: setup binaries c-tests ## Python and Node clients against the programs; kill -9, strace, full disk
	@failed=0; set -x; \
	$(PYTHON) -m pytest -q -n $(WORKERS) --dist loadfile -p no:cacheprovider tests/clients clients/python/tests || failed=1; \
	$(MAKE) tls || failed=1; \
	TEST_THREADS=3 $(PYTHON) -m pytest -q -n $(WORKERS) --dist loadfile -p no:cacheprovider -m 'not one_thread' $(THREADED) || failed=1; \
	node --test tests/clients/*.test.mjs || failed=1; \
	node --test --test-concurrency=$(WORKERS) clients/js/test/*.test.js || failed=1; \
	exit $$failed

tls: setup binaries ## what goes over the wire, attacks and slow clients once more, over TLS
	PARLOR_TEST_TLS=1 $(PYTHON) -m pytest -q -n $(WORKERS) --dist loadfile -p no:cacheprovider -m 'not plain' -k 'not TestWork' \
	    tests/clients/test_wire.py tests/clients/test_http.py tests/clients/test_hostile.py tests/clients/test_slow.py

threads: setup binaries c-tests ## the tests of clients with servers of so many THREADS (2 and 4)
	@failed=0; set -x; for threads in $(THREADS); do \
	    TEST_THREADS=$$threads $(PYTHON) -m pytest -q -n $(WORKERS) --dist loadfile -p no:cacheprovider -m 'not one_thread' tests/clients || failed=1; \
	done; exit $$failed

client-soak: ## clients of Rust connect and close for SECONDS (3600), and leave nothing
	PARLOR_CLIENT_SECONDS=$(or $(SECONDS),3600) cargo test --release --locked --test client_states connecting_and_closing -- --nocapture

scenarios: setup c-tests ## have each client play each of clients/scenarios, and print a table of what came of it
	$(PYTHON) clients/scenarios/table.py

kill: setup binaries ## kill the server under load (kill -9), ROUNDS (200) times
	PARLOR_ROUNDS=$(ROUNDS) $(PYTHON) -m pytest -q -s -p no:cacheprovider tests/clients/test_kill.py

python-model: setup binaries ## the Python client beside a server that is killed, stopped and cut off, with wrong clocks, ROUNDS (200) times
	PARLOR_ROUNDS=$(ROUNDS) $(PYTHON) -m pytest -q -p no:cacheprovider tests/clients/test_python_model.py

test-browser: setup binaries ## the page in Chromium, and a short round in Firefox and WebKit
	@failed=0; set -x; \
	node --test --test-concurrency=2 $$(ls tests/browser/*.test.mjs | grep -v others) || failed=1; \
	node --test tests/browser/others.test.mjs || failed=1; \
	exit $$failed

applications: setup binaries ## two applications' own files on parlor-client, from the clones SOHBET and TAC or from GitHub
	node tests/applications/run.mjs $(if $(SOHBET),--sohbet '$(SOHBET)') $(if $(TAC),--tac '$(TAC)')

test-autobahn: binaries ## a part of the Autobahn testsuite, where there is a Python 2.7
	@mkdir -p target && rm -f target/left-out.autobahn
	python3 tests/autobahn/test_judge.py
	python3 tests/autobahn/run.py --role each --cases subset || { status=$$?; [ $$status -eq 3 ] || exit $$status; \
	    printf '; left out: the Autobahn testsuite, which needs Python 2.7' >target/left-out.autobahn; }

autobahn: binaries ## all of the Autobahn testsuite; writes the table of docs/conformance.md
	python3 tests/autobahn/run.py --table

test-fuzz: ## each fuzz target for 15 s, where there is a nightly toolchain
	@mkdir -p target && rm -f target/left-out.fuzz
	JOBS=2 sh fuzz/run.sh $(FUZZ_SECONDS) || { status=$$?; [ $$status -eq 3 ] || exit $$status; \
	    printf '; left out: the fuzz targets, which need the nightly toolchain' >target/left-out.fuzz; }

test-dist: setup ## packages of a quickly built static program: made twice, installed, run; publishing without publishing
	sh clients/c/build.sh target/c-short client
	python3 deploy/dist --quick --profile dist-short --architectures x86_64 --libraries target/c-short --out target/packages-short
	$(PYTHON) -m pytest -q -p no:cacheprovider tests/dist

# It needs Python 3.11, PyPI for zig, and rustup or a toolchain that has the standard library of musl.
dist: ## static programs, packages for Debian, images, libraries for C, licences and checksums in target/packages; ARCHITECTURES=x86_64 for one
	python3 deploy/dist --architectures $(ARCHITECTURES)

dist-twice: ## make dist in two folders, from scratch; the results must be equal
	python3 deploy/dist/twice.py $(ARCHITECTURES)

# Debian: apt-get install debootstrap
dist-debian: ## what test-dist made, installed in a new Debian
	sh tests/dist/debian.sh

fuzz: ## each fuzz target, or TARGETS, for SECONDS (60)
	sh fuzz/run.sh $(SECONDS) $(TARGETS)

bench: ## parlor beside other servers and a floor, the least that any must do; about ten minutes, needs Node
	cargo build --profile bench --locked --no-default-features --features reactor --example echo --example fan_out
	npm ci --silent --prefix benches/peers/node
	cargo build --release --locked --manifest-path benches/peers/Cargo.toml
	cargo run --release --locked --manifest-path benches/peers/Cargo.toml --bin bench -- $(BENCH)

# Debian: apt-get install libwebsockets-dev. IXWebSocket is in no distribution: IXWEBSOCKET is where it is installed.
bench-c: ## a client with libparlor beside the same with libwebsockets and IXWebSocket; about three minutes
	sh clients/c/build.sh target/c client
	cargo build --release --locked --example echo
	python3 benches/c/measure.py $(if $(IXWEBSOCKET),--ixwebsocket '$(IXWEBSOCKET)')

# Debian: apt-get install redis-server nats-server strace. It starts them itself: they need not be services.
bench-durability: ## parlor on a disk and in memory beside Redis Streams and NATS JetStream; about five minutes
	cargo build --profile bench --locked --bin parlor
	cargo run --release --locked --manifest-path benches/peers/Cargo.toml --bin durability -- $(DURABILITY)

measure-flood: ## a quiet client's latency, alone and beside one that floods; about two minutes
	cargo build --release --locked --bin parlor
	python3 tests/measure/flood.py $(FLOOD)

measure-latency: ## request to reply, and publication to the last of 50 and of 1,000 clients, beside echo; about half a minute
	cargo build --release --locked --bin parlor --example echo
	python3 tests/measure/latency.py $(LATENCY)

measure-tls: ## TLS beside nginx in front of a plain server: handshakes, throughput, processor; about two minutes
	cargo build --release --locked --bin parlor
	python3 tests/measure/tls_peers.py --rounds 5 --seconds 3

measure-return: ## when 5,000 clients come back after a restart, or with RETURNS=--replace when another server takes its place; about half a minute
	cargo build --release --locked --bin parlor
	python3 tests/measure/returns.py $(RETURNS)

model: setup binaries ## the clients of JavaScript and Rust through cuts, kill -9, frozen and crashed tabs, for ROUNDS (200) seeds
	PARLOR_SEEDS=$(ROUNDS) node --test clients/js/test/model.test.js
	PARLOR_SEEDS=500 node --test clients/js/test/outbox-model.test.js
	PARLOR_SEEDS=$(ROUNDS) cargo test --release --locked --test client_model

soak: binaries ## all that clients may do, for MINUTES (60), with 1, 2 and 4 threads; memory, files and counts must then be as before
	python3 tests/measure/soak.py --minutes $(MINUTES) --threads 1,2,4

bench-smoke: ## measure what the protocol costs, in half a minute
	cargo bench --locked --no-default-features --bench protocol

.PHONY: help run test lint setup binaries c c-tests test-rust sim sim-mutants test-clients tls threads scenarios kill client-soak model test-browser applications \
	test-autobahn autobahn test-fuzz test-dist dist dist-twice dist-debian fuzz bench bench-c bench-durability bench-smoke python-model measure-flood measure-latency measure-tls \
	measure-return soak
