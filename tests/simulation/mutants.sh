#!/bin/sh
# Puts each of the bugs in mutants/ into a copy of the sources, one at a time, and shows by which
# seed the simulator finds it. Fails if one is not found within SEEDS (2000), or does not build.
#
#   sh tests/simulation/mutants.sh [name]...
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
seeds=${SEEDS:-2000}
target=${CARGO_TARGET_DIR:-$root/target}
# Always the same place: the copy is built anew only where it differs. What it is built into is its
# own, as cargo would take the copy for the original; what others have made begins there.
copy=$target/mutants/tree
built=$target/mutants/target
mkdir -p "$copy"
if [ ! -d "$built" ] && [ -d "$target/release" ]; then
    mkdir -p "$built/release"
    (cd "$target/release" && tar -cf - .fingerprint build deps) | tar -xf - -C "$built/release"
fi
export CARGO_TARGET_DIR="$built" CARGO_INCREMENTAL=1
missed=0
echo "| bug | found by seed | as |"
echo "| --- | --- | --- |"
for patch in tests/simulation/mutants/*.patch; do
    name=$(basename "$patch" .patch)
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    git ls-files -z --cached --others --exclude-standard | tar --null -cf - -T - | tar -xf - -C "$copy"
    (cd "$copy" && patch -sp1 <"$root/$patch")
    # Cargo goes by times, and a file that has come back from the bug before has an old one.
    sed -n 's/^+++ b\///p' tests/simulation/mutants/*.patch | while read -r file; do touch "$copy/$file"; done
    builds=$(cd "$copy" && sh tests/simulation/cargo.sh --no-run 2>&1) || {
        missed=$((missed + 1))
        printf '| %s | DOES NOT BUILD | %s |\n' "$name" "$(printf '%s\n' "$builds" | grep -m 1 '^error')"
        continue
    }
    # Bugs of several hubs are looked for where there are some.
    case $name in hubs-*) hubs=3 ;; *) hubs= ;; esac
    found=$(cd "$copy" && HUBS=$hubs SEEDS=$seeds FIRST=1 sh tests/simulation/cargo.sh 2>/dev/null |
        grep -A 2 'FAILED' | head -n 3) || true
    seed=$(printf '%s\n' "$found" | sed -n 's/^seed \([0-9]*\) FAILED.*/\1/p' | head -n 1)
    why=$(printf '%s\n' "$found" | sed -n 2p | cut -c 1-100)
    if [ -z "$seed" ]; then
        missed=$((missed + 1))
        seed="NOT within $seeds"
    fi
    echo "| $name | $seed | $why |"
done
[ "$missed" -eq 0 ]
