#!/bin/sh
# Runs each part of the tests, `make PART`, whatever became of the others, and says at the end which failed.
#
#   sh tests/parts.sh PART...
set -u
cd "$(dirname "$0")/.."
results=
failed=
for part in "$@"; do
    begun=$(date +%s)
    if ${MAKE:-make} --no-print-directory "$part"; then result=passed; else result=FAILED failed="$failed $part"; fi
    results="$results$(printf '%-15s %s, %d s' "$part" "$result" $(($(date +%s) - begun)))
"
done
printf '\n%s' "$results"
if [ -n "$failed" ]; then
    echo "failed:$failed"
    exit 1
fi
echo "all tests passed$(cat target/left-out.* 2>/dev/null || true)"
