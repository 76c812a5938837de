"""Builds the static binary for one kind of machine, so that it is the same from whichever folder."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: How long rustup may take to bring the standard library of a target.
TARGET_SECONDS = 120
#: The largest that a binary of the profile `dist` may be, stripped: x86_64 has 12.3 MB.
BINARY_BYTES_MAX = 13_000_000
ARCHITECTURES = ("x86_64", "aarch64")


class CannotBuild(Exception):
    """Why there is no binary for a kind of machine, and what helps."""


def say(text):
    print(f"dist: {text}", file=sys.stderr, flush=True)


def output(*command, **how):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, **how).stdout.strip()


def musl(architecture):
    return f"{architecture}-unknown-linux-musl"


def has_std(target):
    return any(Path(output("rustc", "--print", "target-libdir", "--target", target)).glob("libstd-*.rlib"))


def bring_std(target):
    """The standard library of the target: the toolchain's, or rustup brings it."""
    if has_std(target):
        return True
    say(f"the toolchain has no standard library for {target}: asking rustup, for up to {TARGET_SECONDS} s")
    try:
        subprocess.run(["rustup", "target", "add", target], cwd=ROOT, check=True, timeout=TARGET_SECONDS)
    except FileNotFoundError:
        say("there is no rustup")
    except subprocess.SubprocessError as error:
        say(f"rustup did not bring it: {error}")
    return has_std(target)


def linker(target_directory):
    """The folder with `cargo-zigbuild` and `python-zig`; brought from PyPI at the first time."""
    venv = target_directory / "dist-tools"
    wanted = Path(__file__).with_name("requirements.txt")
    mark = venv / "installed"
    if not (mark.exists() and mark.read_bytes() == wanted.read_bytes()):
        say("installing zig and cargo-zigbuild from PyPI")
        pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted]
        try:
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
            subprocess.run(pip, check=True)
        except subprocess.CalledProcessError as error:
            say(f"they cannot be installed: {error}")
            return None
        mark.write_bytes(wanted.read_bytes())
    return venv / "bin"


def flags(target, target_directory):
    """What keeps this machine's paths out of the binary, in rustc's and in the C compiler's words."""
    cargo_home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    # The longest last: of those that match, rustc takes the last, and clang, too.
    named = {cargo_home: "/cargo", ROOT: "/parlor", target_directory: "/target"}
    named = sorted(named.items(), key=lambda pair: len(str(pair[0])))
    rust = [f"--remap-path-prefix={path}={name}" for path, name in named]
    c = [f"-ffile-prefix-map={path}={name}" for path, name in named]
    # zig adds checks of its own where it is not told to optimise.
    c += ["-fno-sanitize=undefined"]
    return rust, c


def run_cargo(command, target, profile, target_directory, variables=None, path=None):
    rust, c = flags(target, target_directory)
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(target_directory),
        # In place of what the user's own configuration says for all targets.
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join([*rust, "-Ctarget-feature=+crt-static"]),
        f"CFLAGS_{target.replace('-', '_')}": " ".join(c),
        "ZIG_GLOBAL_CACHE_DIR": str(target_directory / "zig"),
        "ZIG_LOCAL_CACHE_DIR": str(target_directory / "zig"),
        **(variables or {}),
    }
    environment.pop("RUSTFLAGS", None)
    if path:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    built = ["cargo", command, "--locked", "--profile", profile, "--bin", "parlor", "--target", target]
    subprocess.run(built, cwd=ROOT, check=True, env=environment)
    return target_directory / target / profile / "parlor"


def build(architecture, profile, target_directory, quick=False):
    """The target, and the path of its static binary."""
    target, is_own = musl(architecture), architecture == platform.machine()
    if bring_std(target):
        if quick and is_own and shutil.which("musl-gcc"):
            # The C library is rustc's own; only its headers are musl-gcc's.
            own = {f"CC_{target.replace('-', '_')}": "musl-gcc"}
            path = run_cargo("build", target, profile, target_directory, own)
            # Linked in this way it keeps its symbols, whatever the profile says.
            subprocess.run(["strip", path], check=True)
            return target, path
        tools = linker(target_directory)
        if tools:
            return target, run_cargo("zigbuild", target, profile, target_directory, path=tools)
    if not is_own:
        raise CannotBuild(
            f"{target} cannot be linked here: it needs its standard library (rustup target add {target}) and zig (PyPI)"
        )
    target = f"{architecture}-unknown-linux-gnu"
    say(f"without musl: {target} is linked statically to this machine's glibc instead, for trials")
    return target, run_cargo("build", target, profile, target_directory)


def judge(path, profile):
    """It is static, and as small as is promised."""
    headers = output("readelf", "--program-headers", str(path))
    if "INTERP" in headers:
        raise CannotBuild(f"{path} is not static: it asks for a dynamic linker")
    size = path.stat().st_size
    if profile == "dist" and size > BINARY_BYTES_MAX:
        raise CannotBuild(f"{path} has {size} bytes, more than the {BINARY_BYTES_MAX} of BINARY_BYTES_MAX (deploy/dist/build.py)")
    say(f"{path} has {size} bytes")
