#!/bin/sh
# Runs fuzz targets for some seconds each, and prints how often each was executed, as the rows of a
# table: fuzz/run.sh SECONDS [TARGET…]
#
# JOBS (1) targets run at a time.
#
# Without a TARGET it is all of them: fuzz/fuzz_targets has one file for each. They are built as
# cargo-fuzz builds them, with AddressSanitizer and the coverage that libFuzzer reads, but by cargo
# alone: cargo-fuzz itself would have to be compiled first. Building takes some minutes the first
# time, and is not counted.
#
# What libFuzzer finds goes to fuzz/target/corpus; the committed seeds in fuzz/corpus are only
# read. Words that a target likes are in fuzz/dictionaries. A crash is left in fuzz/artifacts, and
# ends this with status 1.
# Exit status 2: wrong use; 3: there is no nightly toolchain.
set -eu

cd "$(dirname "$0")/.."
all=$(for file in fuzz/fuzz_targets/*.rs; do basename "$file" .rs; done)

use() {
    printf '%s\n' "use: [JOBS=n] fuzz/run.sh SECONDS [TARGET…]" "targets:" "$all" >&2
    exit 2
}

seconds=${1:-}
case $seconds in
    '' | *[!0-9]*) use ;;
esac
shift
jobs=${JOBS:-1}
case $jobs in
    '' | *[!0-9]* | 0*) use ;;
esac
for target in "$@"; do
    [ -e "fuzz/fuzz_targets/$target.rs" ] || use
done

if ! host=$(rustc +nightly -vV 2>/dev/null | sed -n 's/^host: //p') || [ -z "$host" ]; then
    echo "fuzz/run.sh: fuzzing needs the nightly toolchain: rustup toolchain install nightly" >&2
    exit 3
fi
# shellcheck disable=SC2086 # names without spaces
[ $# -gt 0 ] || set -- $all

mkdir -p fuzz/target fuzz/artifacts
chosen=$(for target in "$@"; do printf -- '--bin %s ' "$target"; done)
coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0'
# With a target named, build scripts and macros are compiled without all this.
# shellcheck disable=SC2086 # flags without spaces
RUSTFLAGS="$(echo $coverage) --cfg fuzzing -Zsanitizer=address -Cdebug-assertions" \
    cargo +nightly build --release --manifest-path fuzz/Cargo.toml --target-dir fuzz/target \
    --target "$host" $chosen >fuzz/target/build.log 2>&1 || {
    cat fuzz/target/build.log >&2
    exit 1
}

run() {
    target=$1
    found=fuzz/target/corpus/$target
    log=fuzz/target/$target.log
    words=fuzz/dictionaries/$target.dict
    [ -e "$words" ] && words=-dict=$words || words=
    mkdir -p "$found"
    status=0
    # shellcheck disable=SC2086 # $words is one word or none
    "fuzz/target/$host/release/$target" "$found" "fuzz/corpus/$target" \
        -artifact_prefix="fuzz/artifacts/$target-" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 $words >"$log" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        cat "$log" >&2
        echo "$target: failed" >&2
        return 1
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" |
        sed -e ':a' -e 's/\([0-9]\)\([0-9]\{3\}\)\($\|,\)/\1,\2\3/' -e 'ta')
    echo "| \`$target\` | $executions | $seconds s |"
}

printf '%s\n' '| target | executions | in |' '| --- | ---: | ---: |'
while [ $# -gt 0 ]; do
    pids=
    for _ in $(seq "$jobs"); do
        [ $# -gt 0 ] || break
        run "$1" &
        pids="$pids $!"
        shift
    done
    for pid in $pids; do
        wait "$pid" || failed=1
    done
    [ -z "${failed:-}" ] || exit 1
done
