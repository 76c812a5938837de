#!/bin/sh
# Installs what build.sh has made. The tree may be moved afterwards.
#
#   sh install.sh BUILT PREFIX
set -eu
here=$(cd "$(dirname "$0")" && pwd)
built=$(cd "$1" && pwd)
prefix=$2
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -n 1)

mkdir -p "$prefix/include" "$prefix/lib/pkgconfig" "$prefix/lib/cmake/parlor"
install -m 644 "$here"/include/parlor*.h "$here"/include/parlor*.hpp "$prefix/include"
for name in parlor parlor-server; do
    # Not all of build.sh's parts need be there.
    [ -e "$built/lib$name.a" ] || continue
    install -m 644 "$built/lib$name.a" "$prefix/lib"
    install -m 755 "$built/lib$name.so.0" "$prefix/lib"
    ln -sf "lib$name.so.0" "$prefix/lib/lib$name.so"
done
libs() { # libs LIBRARY
    cat "$built/$1/libs" 2>/dev/null || true
}
fill() { # fill NAME FOLDER
    sed "s|@VERSION@|$version|; s|@LIBS@|$(libs parlor)|; s|@SERVER_LIBS@|$(libs parlor-server)|" "$here/packaging/$1.in" >"$prefix/lib/$2/$1"
}
for name in parlor parlor-server; do
    [ ! -e "$built/lib$name.a" ] || fill "$name.pc" pkgconfig
done
fill parlorConfig.cmake cmake/parlor
fill parlorConfigVersion.cmake cmake/parlor
