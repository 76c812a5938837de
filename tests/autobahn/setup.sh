#!/bin/sh
# Makes the Python in which the Autobahn testsuite runs: target/autobahn-python, once.
#
# The suite is Python 2 code. The interpreter is what PYTHON2 names, or python2.7 on the path, or
# the newest 2.7 of pyenv. Exit status 3: there is no Python 2.7.
set -eu
cd "$(dirname "$0")/../.."

venv=target/autobahn-python
virtualenv=virtualenv==20.21.1 # the last that makes environments for Python 2.7
wanted=$(cat tests/autobahn/requirements.txt tests/autobahn/setup.sh | cksum)
if [ "$(cat "$venv/installed" 2>/dev/null || true)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

is_python27() { # is_python27 COMMAND
    "$1" -c 'import ssl, sys, zlib; sys.exit(sys.version_info[:2] != (2, 7))' >/dev/null 2>&1
}

find_python27() {
    # A shim of pyenv may be on the path for a version that is not switched on: it must run.
    if is_python27 python2.7; then
        command -v python2.7
    elif command -v pyenv >/dev/null 2>&1; then
        for version in $(pyenv versions --bare | grep '^2\.7' | sort -Vr); do
            if is_python27 "$(pyenv prefix "$version")/bin/python2.7"; then
                echo "$(pyenv prefix "$version")/bin/python2.7"
                return
            fi
        done
    fi
}

if [ -n "${PYTHON2:-}" ]; then
    is_python27 "$PYTHON2" || {
        echo "tests/autobahn/setup.sh: PYTHON2=$PYTHON2 is no Python 2.7 with ssl and zlib" >&2
        exit 1
    }
    python27=$PYTHON2
else
    python27=$(find_python27)
fi
if [ -z "$python27" ]; then
    echo "tests/autobahn/setup.sh: the Autobahn testsuite needs Python 2.7, and there is none:" >&2
    echo "pyenv install 2.7.18 (it need not be the default), or name one in PYTHON2" >&2
    exit 3
fi

echo "installing the Autobahn testsuite for $python27"
maker=$(mktemp -d)
trap 'rm -rf "$maker"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$maker" || {
    echo "tests/autobahn/setup.sh: python3 makes no venv: on Debian, apt-get install python3-venv" >&2
    exit 1
}
"$maker/bin/python" -m pip install --quiet --disable-pip-version-check "$virtualenv"
rm -rf "$venv"
mkdir -p target
"$maker/bin/python" -m virtualenv --quiet --python "$python27" "$venv"
"$venv/bin/python" -W ignore -m pip install --quiet --disable-pip-version-check --no-deps \
    --no-python-version-warning -r tests/autobahn/requirements.txt
"$venv/bin/python" -c 'import autobahntestsuite.wstest'
printf '%s\n' "$wanted" >"$venv/installed"
