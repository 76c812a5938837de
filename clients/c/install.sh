#!/bin/sh
# Installs what build.sh has made. The tree may be moved afterwards.
#
#   sh install.sh BUILT PREFIX [client] [server]     both, if neither is named
set -eu
here=$(cd "$(dirname "$0")" && pwd)
built=$(cd "$1" && pwd)
prefix=$2
shift 2
[ $# -gt 0 ] || set -- client server
names=
for part; do
    case $part in
    client) names="$names parlor" ;;
    server) names="$names parlor-server" ;;
    *) echo "install.sh: $part is neither client nor server" >&2 && exit 2 ;;
    esac
done
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -n 1)

mkdir -p "$prefix/include" "$prefix/lib/pkgconfig" "$prefix/lib/cmake/parlor"
for header in "$here"/include/parlor*.h "$here"/include/parlor*.hpp; do
    # The server's are of no use without it.
    case $names-$header in
    *parlor-server*) ;;
    *-*/parlor_server.*) continue ;;
    esac
    install -m 644 "$header" "$prefix/include"
done
for name in $names; do
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
for name in $names; do
    [ ! -e "$built/lib$name.a" ] || fill "$name.pc" pkgconfig
done
fill parlorConfig.cmake cmake/parlor
fill parlorConfigVersion.cmake cmake/parlor
