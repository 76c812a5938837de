#!/bin/sh
# Installs what the tests need and does not have: from Debian, crates.io, PyPI and npm.
set -eu
cd "$(dirname "$0")/.."
mkdir -p target
# One at a time; what it starts does not hold the lock.
if [ -z "${HAS_LOCK:-}" ] && command -v flock >/dev/null 2>&1; then
    HAS_LOCK=1 exec flock -o target/setup.lock sh tests/setup.sh
fi
# Where Debian has nginx.
PATH=$PATH:/usr/sbin

need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || bring "$1" "$2"
}

need_file() { # need_file PATH PACKAGE
    [ -e "$1" ] || bring "$1" "$2"
}

bring() { # bring WHAT PACKAGE
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "tests/setup.sh: $1 is missing: install it, on Debian by: apt-get install $2" >&2
        exit 1
    fi
    echo "installing $2 for $1"
    [ -n "${updated:-}" ] || apt-get update -qq
    updated=1
    # The second try is for a mirror that stumbled.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null ||
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}

need chromium chromium
need firefox-esr firefox-esr
need WebKitWebDriver webkit2gtk-driver
need Xvfb xvfb
need strace strace
need tmux tmux
need valgrind valgrind
need sqlite3 sqlite3
need curl curl
need nginx nginx-light
need haproxy haproxy
need caddy caddy
need systemd-analyze systemd
need promtool prometheus
need musl-gcc musl-tools
need dpkg-deb dpkg
need readelf binutils
need c++ g++
need clang++ clang
need cmake cmake
need pkg-config pkg-config
need_file /usr/include/openssl/ssl.h libssl-dev
need_file /usr/include/sqlite3.h libsqlite3-dev
need_file /usr/include/asio.hpp libasio-dev
need_file /usr/include/boost/asio/io_context.hpp libboost-dev
need_file /usr/include/glib-2.0/glib.h libglib2.0-dev
need wx-config libwxgtk3.2-dev
need_file /usr/include/*/qt6/QtCore/QObject qt6-base-dev
need_file /usr/lib/*/qt6/plugins/platforms/libqxcb.so qt6-qpa-plugins
need x86_64-w64-mingw32-g++-posix g++-mingw-w64-x86-64-posix
need adduser adduser
need ip iproute2
need lintian lintian
need certutil libnss3-tools
need umoci umoci
need node nodejs
need npm npm
need python3 python3

# Debian's knows no edition of Rust so new.
cbindgen=0.29.4
tools=target/test-tools
if [ "$("$tools/bin/cbindgen" --version 2>/dev/null || true)" != "cbindgen $cbindgen" ]; then
    echo "installing cbindgen from crates.io"
    cargo install --quiet --locked --debug --target-dir "$tools/build" --root "$tools" --version "$cbindgen" cbindgen
    rm -rf "$tools/build"
fi

venv=target/test-python
if ! [ -x "$venv/bin/python" ]; then
    python3 -m venv "$venv" 2>/dev/null || {
        need ensurepip python3-venv
        rm -rf "$venv"
        python3 -m venv "$venv"
    }
fi
wanted=$(cksum <tests/requirements.txt)
if [ "$(cat "$venv/installed" 2>/dev/null || true)" != "$wanted" ]; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
    printf '%s\n' "$wanted" >"$venv/installed"
fi
if ! [ tests/node_modules/.package-lock.json -nt tests/package-lock.json ]; then
    npm ci --prefix tests --no-audit --no-fund --silent
    touch tests/node_modules/.package-lock.json
fi
