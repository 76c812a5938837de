#!/bin/sh
# Builds what programs link: libparlor.a and libparlor.so.0, libparlor-server.a and libparlor-server.so.0. Each is made of
# one object in which all names but those of its header are its own. So a program may have both, another library that is
# written in Rust, and OpenSSL, beside each other.
#
#   [PROFILE=dev] [TLS=aws-lc] sh build.sh DIRECTORY [client] [server]     both, if neither is named
#
# With TLS=aws-lc the client computes with aws-lc, as the server does, and not with ring; it is twice as large then.
# The profile dev, which tests take, shares what it is made of with the tests of Rust. What the others make is the same in
# whichever folder, and has no path of who builds it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$1
shift
mkdir -p "$out"
out=$(cd "$out" && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

flags() { # for rustc, with the byte between them that CARGO_ENCODED_RUSTFLAGS has
    # shellcheck disable=SC2086 # RUSTFLAGS are several
    set -- ${CARGO_ENCODED_RUSTFLAGS-${RUSTFLAGS-}} "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
        "--remap-path-prefix=$root=/parlor" "--remap-path-prefix=$target=/target"
    printf '%s' "$1" && shift && printf '\037%s' "$@"
}

build() { # build LIBRARY HEADER PROFILE FEATURES
    name=$1 header=$2 profile=$3 features=$4
    work=$out/$name
    mkdir -p "$work"
    echo "compiling lib$name; what cargo says is in $work/log" >&2
    if ! (
        cd "$root"
        [ "$profile" = dev ] || export CARGO_ENCODED_RUSTFLAGS="$(flags)"
        cargo rustc --locked --target-dir "$target" --package parlor-c --profile "$profile" --no-default-features \
            --features "$features" -- --print=native-static-libs
    ) 2>"$work/log"; then
        cat "$work/log" >&2
        exit 1
    fi
    # What the system gives; the C library is there anyway.
    sed -n 's/^note: native-static-libs: //p' "$work/log" | sed 's/ -lgcc_s//; s/ -lc$//' >"$work/libs"
    folder=$profile
    [ "$profile" != dev ] || folder=debug
    archive=$target/$folder/libparlor_c.a

    # What the header declares.
    sed -n 's/^[a-z].*[ *]\(parlor_[a-z_]*\)(.*/\1/p' "$here/include/$header" | grep -v '_fn$' | sort >"$work/symbols"
    undefined=$(sed 's/^/-u /' "$work/symbols" | tr '\n' ' ')
    # Groups of sections are dissolved: of two with one name the linker keeps one, and the names in ours are no longer seen.
    # shellcheck disable=SC2086 # these are options
    ld -r --gc-sections --force-group-allocation $undefined -o "$work/whole.o" "$archive"
    keep=$(sed 's/^/--keep-global-symbol=/' "$work/symbols" | tr '\n' ' ')
    # shellcheck disable=SC2086 # these are options
    objcopy --strip-debug --remove-section=.llvmbc --remove-section=.llvmcmd $keep "$work/whole.o" "$work/$name.o"
    rm -f "$out/lib$name.a"
    ar rcsD "$out/lib$name.a" "$work/$name.o"
    {
        echo "parlor_0 {"
        echo "  global:"
        sed 's/.*/    &;/' "$work/symbols"
        echo "  local: *;"
        echo "};"
    } >"$work/map"
    # shellcheck disable=SC2046 # these are options
    cc -shared -o "$out/lib$name.so.0" "$work/$name.o" \
        -Wl,-soname,"lib$name.so.0" -Wl,-z,nodelete -Wl,-z,defs -Wl,--version-script="$work/map" -Wl,--gc-sections -Wl,-s \
        $(cat "$work/libs")
    ln -sf "lib$name.so.0" "$out/lib$name.so"
    rm "$work/whole.o" "$work/$name.o"
}

[ $# -gt 0 ] || set -- client server
for part; do
    case $part in
    # It is small before it is fast: what it does waits for the network.
    client) build parlor parlor.h "${PROFILE:-c-client}" client,"${TLS:-ring}" ;;
    server) build parlor-server parlor_server.h "${PROFILE:-c-server}" server ;;
    *) echo "build.sh: $part is neither client nor server" >&2 && exit 2 ;;
    esac
done
