#!/bin/sh
# Installs what build.sh has made. The tree may be moved afterwards.
#
#   sh install.sh BUILT PREFIX
set -eu
here=$(cd "$(dirname "$0")" && pwd)
built=$(cd "$1" && pwd)
prefix=$2
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -n 1)
libs=$(cat "$built/libs")

mkdir -p "$prefix/include" "$prefix/lib/pkgconfig" "$prefix/lib/cmake/parlor"
install -m 644 "$here"/include/parlor*.h "$here"/include/parlor*.hpp "$prefix/include"
install -m 644 "$built/libparlor.a" "$prefix/lib"
install -m 755 "$built/libparlor.so.0" "$prefix/lib"
ln -sf libparlor.so.0 "$prefix/lib/libparlor.so"
fill() { # fill NAME FOLDER
    sed "s|@VERSION@|$version|; s|@LIBS@|$libs|" "$here/packaging/$1.in" >"$prefix/lib/$2/$1"
}
fill parlor.pc pkgconfig
fill parlorConfig.cmake cmake/parlor
fill parlorConfigVersion.cmake cmake/parlor
