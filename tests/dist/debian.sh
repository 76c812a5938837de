#!/bin/sh
# Tests the Debian package, and the way to the first message, in a new, minimal Debian, which debootstrap makes once in target/debian. The mirror is the one
# that this machine's apt uses, or MIRROR.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD/target/debian
if ! [ -e "$root/whole" ]; then
    command -v debootstrap >/dev/null || { echo "debootstrap is missing: on Debian: apt-get install debootstrap" >&2; exit 1; }
    mirror=${MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)}
    rm -rf "$root"
    debootstrap --variant=minbase bookworm "$root" "$mirror"
    touch "$root/whole"
fi
PARLOR_DEBIAN_ROOT=$root target/test-python/bin/python -m pytest -q -p no:cacheprovider -s tests/dist/test_debian.py tests/dist/test_first_message.py
