# The targets that people call; each says what it does in its own line of `make help`.
.POSIX:
.SUFFIXES:

SECONDS = 60
PYTHON = target/test-python/bin/python

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

run: ## serve, with the embedded database
	cargo run --release --locked

test: test-rust test-clients test-browser test-fuzz ## install what the tests need and run them all
	@echo "all tests passed$$(cat target/left-out 2>/dev/null || true)"

lint: ## formatting, lints and documentation, warnings denied
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --no-default-features --lib -- -D warnings
	cargo clippy --locked --no-default-features --features reactor --lib --example echo -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps

setup: ## install what the tests need: from Debian, PyPI and npm
	sh tests/setup.sh

binaries:
	cargo build --release --locked --bin parlor --example echo --example bot

test-rust: ## unit tests, property tests, architecture, embedding
	cargo test --locked --quiet
	cargo test --locked --quiet --no-default-features --lib --test protocol_properties --test corpus_replay

test-clients: setup binaries ## Python websockets and Node ws against the programs; kill -9, strace, full disk
	$(PYTHON) -m pytest -q -p no:cacheprovider tests/clients
	node --test tests/clients/*.test.mjs

test-browser: setup binaries ## two windows of Chromium
	node --test tests/browser/*.test.mjs

test-fuzz: ## each fuzz target for 30 s, where there is a nightly toolchain
	@mkdir -p target && rm -f target/left-out
	sh fuzz/run.sh 30 || { status=$$?; [ $$status -eq 3 ] || exit $$status; \
	    echo ', but for the fuzz targets: they need the nightly toolchain' >target/left-out; }

fuzz: ## each fuzz target for SECONDS (60)
	sh fuzz/run.sh $(SECONDS)

bench-smoke: ## what the protocol costs, in half a minute
	cargo bench --locked --no-default-features --bench protocol

.PHONY: help run test lint setup binaries test-rust test-clients test-browser test-fuzz fuzz bench-smoke
