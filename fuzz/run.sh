#!/bin/sh
# Runs fuzz targets for some seconds each, and prints how often each was executed, as the rows of a
# table: fuzz/run.sh SECONDS [TARGET…]
#
# Without a TARGET it is all of them: fuzz/fuzz_targets has one file for each. They are built with
# AddressSanitizer, which is what cargo-fuzz does; building them takes some minutes the first time,
# and is not counted.
#
# What libFuzzer finds goes to fuzz/target/corpus; the committed seeds in fuzz/corpus are only
# read. Words that a target likes are in fuzz/dictionaries. A crash is left in fuzz/artifacts, and
# ends this with cargo-fuzz's status, 1.
# Exit status 2: wrong use; 3: there is no nightly toolchain.
set -eu

cd "$(dirname "$0")/.."
all=$(for file in fuzz/fuzz_targets/*.rs; do basename "$file" .rs; done)

use() {
    printf '%s\n' "use: fuzz/run.sh SECONDS [TARGET…]" "targets:" "$all" >&2
    exit 2
}

seconds=${1:-}
case $seconds in
    '' | *[!0-9]*) use ;;
esac
shift
for target in "$@"; do
    [ -e "fuzz/fuzz_targets/$target.rs" ] || use
done

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "fuzz/run.sh: cargo-fuzz needs the nightly toolchain: rustup toolchain install nightly" >&2
    exit 3
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install cargo-fuzz --locked
fi

mkdir -p fuzz/target
# All at once is faster than one after the other.
if [ $# -eq 0 ]; then
    cargo +nightly fuzz build --target-dir fuzz/target >fuzz/target/build.log 2>&1 || {
        status=$?
        cat fuzz/target/build.log >&2
        exit "$status"
    }
    # shellcheck disable=SC2086 # names without spaces
    set -- $all
fi

printf '%s\n' '| target | executions | in |' '| --- | ---: | ---: |'
for target in "$@"; do
    found=fuzz/target/corpus/$target
    log=fuzz/target/$target.log
    words=fuzz/dictionaries/$target.dict
    [ -e "$words" ] && words=-dict=$words || words=
    mkdir -p "$found"
    status=0
    # shellcheck disable=SC2086 # $words is one word or none
    cargo +nightly fuzz run --target-dir fuzz/target "$target" "$found" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 $words >"$log" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        cat "$log" >&2
        echo "$target: failed" >&2
        exit "$status"
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" |
        sed -e ':a' -e 's/\([0-9]\)\([0-9]\{3\}\)\($\|,\)/\1,\2\3/' -e 'ta')
    echo "| \`$target\` | $executions | $seconds s |"
done
