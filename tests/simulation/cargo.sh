#!/bin/sh
# Builds the simulator and runs it: with all assertions, and otherwise as the release is built, so that what both need is
# compiled once. CARGO_INCREMENTAL=1 builds it sooner when a little was changed, and it then runs slower.
#
#   SEEDS=n|from..to | SEED=n [TRACE=1] sh tests/simulation/cargo.sh
set -eu
exec cargo test --quiet --locked --release --no-default-features --features server \
    --config profile.release.package.parlor.debug-assertions=true \
    --config profile.release.package.parlor.overflow-checks=true \
    --test simulation "$@"
