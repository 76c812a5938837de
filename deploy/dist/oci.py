"""The container's image as an OCI archive, made without a daemon: one layer and its description."""

import json
from pathlib import Path

from build import ROOT
from files import File, Folder, gz, read, sha256, tar

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
#: Nobody on the host; distroless images have the same.
USER = 65_532
IMAGE_BYTES_MAX = 15_000_000
#: As the last stage of the Dockerfile; a test compares them.
CONFIG = {
    "User": f"{USER}:{USER}",
    "ExposedPorts": {"8080/tcp": {}, "9090/tcp": {}},
    "Entrypoint": ["/usr/bin/parlor"],
    "Cmd": ["serve"],
    "Volumes": {"/var/lib/parlor": {}},
    "WorkingDir": "/etc/parlor",
    # Docker's; others pass over it.
    "Healthcheck": {"Test": ["CMD", "/usr/bin/parlor", "health"], "Interval": 10_000_000_000, "Timeout": 5_000_000_000},
}
#: Where Debian's ca-certificates keeps what this machine trusts.
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def root(binary, licences):
    """The image's files: the program, its configuration, whom it trusts for https, and the licences."""
    if not AUTHORITIES.exists():
        raise SystemExit(f"dist: {AUTHORITIES} is missing: install it, on Debian by: apt-get install ca-certificates")
    return {
        "usr/bin/parlor": File(binary, 0o755),
        "etc/parlor/parlor.toml": read(ROOT / "deploy/container/parlor.toml"),
        "etc/ssl/certs/ca-certificates.crt": read(AUTHORITIES, 0o644),
        "usr/share/doc/parlor/licences.txt.gz": File(gz(licences)),
        # A new volume gets the folder's owner.
        "var/lib/parlor": Folder(0o700, USER),
    }


def described(kind, content):
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{sha256(content)}", "size": len(content)}


def archive(tree, architecture, version, epoch, created):
    """The bytes of an archive that `podman load`, `skopeo` and `docker load` read."""
    unpacked = tar(tree, epoch)
    layer = gz(unpacked)
    machine = {"architecture": ARCHITECTURES[architecture], "os": "linux"}
    labels = {"org.opencontainers.image.title": "parlor", "org.opencontainers.image.version": version}
    config = json.dumps({
        **machine,
        "created": created,
        "config": {**CONFIG, "Labels": {**labels, "org.opencontainers.image.licenses": "MIT OR Apache-2.0"}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(unpacked)}"]},
        "history": [{"created": created, "created_by": "deploy/dist"}],
    }).encode()  # fmt: skip
    layer_descriptor = described("layer.v1.tar+gzip", layer)
    manifest = json.dumps({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("config.v1+json", config),
        "layers": [layer_descriptor],
    }).encode()  # fmt: skip
    name = f"parlor:{version}"
    reference = {"org.opencontainers.image.ref.name": version, "io.containerd.image.name": f"docker.io/library/{name}"}
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{**described("manifest.v1+json", manifest), "platform": machine, "annotations": reference}],
    }
    blobs = {f"blobs/sha256/{sha256(blob)}": blob for blob in (layer, config, manifest)}
    # For Docker before 25, which knows no OCI archives.
    older = [{
        "Config": f"blobs/sha256/{sha256(config)}",
        "RepoTags": [name],
        "Layers": [f"blobs/sha256/{sha256(layer)}"],
    }]  # fmt: skip
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode(), **blobs}
    files["manifest.json"] = json.dumps(older).encode()
    packed = tar({path: File(content) for path, content in files.items()}, epoch)
    if len(packed) > IMAGE_BYTES_MAX:
        raise SystemExit(f"dist: the image has {len(packed)} bytes, more than IMAGE_BYTES_MAX, {IMAGE_BYTES_MAX}")
    return packed
