#!/bin/sh
# Draws where parlor's processor time goes while 100 senders wait for the disk, as a flame graph:
#     benches/flame.sh docs/images/durable-messages.svg
# It needs perf (Debian: linux-perf), inferno (cargo install inferno) and the right to trace.
set -eu
picture=${1:?the file to write}
cd "$(dirname "$0")/.."
for program in perf inferno-collapse-perf inferno-flamegraph; do
    command -v "$program" > /dev/null || { echo "$0: there is no $program; see the top of this file" >&2; exit 1; }
done
built=target/flame
# A folder of its own: frame pointers everywhere, in SQLite too.
CARGO_TARGET_DIR=$built RUSTFLAGS='-C force-frame-pointers=yes' CFLAGS=-fno-omit-frame-pointer \
    CARGO_PROFILE_RELEASE_DEBUG=1 CARGO_PROFILE_RELEASE_STRIP=none \
    cargo build --release --locked --bin parlor
cargo build --release --locked --manifest-path benches/peers/Cargo.toml --bin durability
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The server's process is found by the file that it runs.
PARLOR="$PWD/$built/release/parlor" benches/peers/target/release/durability \
    --servers parlor --senders 100 --rounds 1 --starts 1 --slice-ms 9000 --no-strace > "$folder/said" &
bench=$!
sleep 5
server=
for process in /proc/[0-9]*; do
    if [ "$(readlink "$process/exe")" = "$PWD/$built/release/parlor" ]; then
        server=${process#/proc/}
    fi
done
[ -n "$server" ] || { cat "$folder/said" >&2; echo "$0: the server does not run" >&2; exit 1; }
perf record --quiet --call-graph fp --freq 3999 --output "$folder/data" --pid "$server" -- sleep 4
wait "$bench"
# The names of what every thread begins with say nothing.
perf script --input "$folder/data" 2> "$folder/told" | inferno-collapse-perf --quiet |
    sed -e 's/^parlor;.*;parlor::reactor::reactor::Reactor<[^;]*::run/reactor;Reactor::run/' -e 's/^parlor;/reactor;/' \
        -e 's/^parlor-store;.*;parlor::store::thread::Workplace::run/store;Workplace::run/' -e 's/^parlor-store;/store;/' \
        -e 's/^parlor-merge;.*;parlor::store::merge_thread::MergeJob::merge/merge;MergeJob::merge/' -e 's/^parlor-merge;/merge;/' \
        -e 's/;__send;/;send(2);/' -e 's/;__libc_recv;/;recv(2);/' \
        -e 's/\[unknown\];//g' -e 's/parlor:://g' |
    inferno-flamegraph --quiet --deterministic --minwidth 0.3 --width 1200 \
        --countname ns --title 'parlor: durable messages of 100 senders' > "$picture"
