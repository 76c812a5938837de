#!/bin/sh
# Builds what programs link: libparlor.a and libparlor.so.0, from one object in which all names but those of the header
# are its own. So a program may have another library that is written in Rust, and OpenSSL, beside it.
#
#   sh build.sh DIRECTORY [cargo's options]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
shift
mkdir -p "$out"
out=$(cd "$out" && pwd)
target=${CARGO_TARGET_DIR:-$here/target}

if ! (cd "$here" && cargo rustc --locked --release "$@" -- --print=native-static-libs) 2>"$out/log"; then
    cat "$out/log" >&2
    exit 1
fi
# What the system gives; the C library is there anyway.
sed -n 's/^note: native-static-libs: //p' "$out/log" | sed 's/ -lc$//' >"$out/libs"
archive=$target/release/libparlor_c.a

# What the header declares.
sed -n 's/^[a-z].*[ *]\(parlor_[a-z_]*\)(.*/\1/p' "$here/include/parlor.h" | grep -v '_fn$' | sort >"$out/symbols"
undefined=$(sed 's/^/-u /' "$out/symbols" | tr '\n' ' ')
# Groups of sections are dissolved: of two with one name the linker keeps one, and the names in ours are no longer seen.
# shellcheck disable=SC2086 # these are options
ld -r --gc-sections --force-group-allocation $undefined -o "$out/whole.o" "$archive"
keep=$(sed 's/^/--keep-global-symbol=/' "$out/symbols" | tr '\n' ' ')
# shellcheck disable=SC2086 # these are options
objcopy --strip-debug --remove-section=.llvmbc --remove-section=.llvmcmd $keep "$out/whole.o" "$out/parlor.o"
rm -f "$out/libparlor.a"
ar rcsD "$out/libparlor.a" "$out/parlor.o"
{
    echo "parlor_0 {"
    echo "  global:"
    sed 's/.*/    &;/' "$out/symbols"
    echo "  local: *;"
    echo "};"
} >"$out/parlor.map"
# shellcheck disable=SC2046 # these are options
cc -shared -o "$out/libparlor.so.0" "$out/parlor.o" \
    -Wl,-soname,libparlor.so.0 -Wl,-z,nodelete -Wl,-z,defs -Wl,--version-script="$out/parlor.map" -Wl,--gc-sections -Wl,-s \
    $(cat "$out/libs")
ln -sf libparlor.so.0 "$out/libparlor.so"
rm "$out/whole.o" "$out/parlor.o"
