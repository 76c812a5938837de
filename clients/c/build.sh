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

(cd "$here" && cargo build --quiet --locked --release "$@")
archive=$target/release/libparlor_c.a

# What the header declares.
sed -n 's/^[a-z].*[ *]\(parlor_[a-z_]*\)(.*/\1/p' "$here/include/parlor.h" | grep -v '_fn$' | sort >"$out/symbols"
# Groups of sections are dissolved: of two with one name the linker keeps one, and the names in ours are no longer seen.
undefined=$(sed 's/^/-u /' "$out/symbols" | tr '\n' ' ')
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
cc -shared -o "$out/libparlor.so.0" "$out/parlor.o" \
    -Wl,-soname,libparlor.so.0 -Wl,-z,nodelete -Wl,-z,defs -Wl,--version-script="$out/parlor.map" -Wl,--gc-sections -Wl,-s \
    -lpthread -ldl -lm -lgcc_s -lc
ln -sf libparlor.so.0 "$out/libparlor.so"
rm "$out/whole.o" "$out/parlor.o"
