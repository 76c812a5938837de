#!/bin/sh
# Runs each fuzz target for some seconds: fuzz/run.sh SECONDS
#
# What libFuzzer finds goes to fuzz/target/corpus; the committed seeds in fuzz/corpus are only
# read. A crash is left in fuzz/artifacts and ends this with libFuzzer's status.
# Exit status 2: wrong use; 3: there is no nightly toolchain.
set -eu

seconds=${1:-}
case $seconds in
    '' | *[!0-9]*)
        echo "use: fuzz/run.sh SECONDS (for each target)" >&2
        exit 2
        ;;
esac
cd "$(dirname "$0")/.."

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "fuzz/run.sh: cargo-fuzz needs the nightly toolchain: rustup toolchain install nightly" >&2
    exit 3
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install cargo-fuzz --locked
fi

for target in frame_parser handshake; do
    found=fuzz/target/corpus/$target
    log=fuzz/target/$target.log
    mkdir -p "$found"
    status=0
    cargo +nightly fuzz run --target-dir fuzz/target "$target" "$found" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 >"$log" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        cat "$log" >&2
        echo "$target: failed" >&2
        exit "$status"
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "$target: $executions executions in $seconds s"
done
