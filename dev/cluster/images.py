"""The project's images: built from its Dockerfiles, without a registry."""

import hashlib
import io
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dev.cluster.command import run
from dev.cluster.errors import CommandError, NoClusterError
from dev.cluster.folders import architecture, cache_folder, locked
from dev.cluster.progress import Progress

# The base that can be made from Debian packages where no registry is within reach.
PYTHON_BASE = "python:3.13-slim-trixie"
PYTHON_PACKAGES = ("ca-certificates", "python3", "python3-venv", "tzdata")


@dataclass(frozen=True, slots=True)
class Image:
    """One image to build: which target of which Dockerfile, under which name."""

    tag: str
    dockerfile: Path
    context: Path
    target: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    paths: Sequence[str] = (".",)
    """What of the context decides about a rebuild, relative to it; the Dockerfile always does."""

    @property
    def reference(self) -> str:
        """The full name under which a node finds it."""
        return full_reference(self.tag)


def full_reference(tag: str) -> str:
    """Return `tag` with the registry and the folder that container tools leave out."""
    head, slash, _ = tag.partition("/")
    if slash and (head == "localhost" or "." in head or ":" in head):
        return tag
    return f"docker.io/{tag}" if slash else f"docker.io/library/{tag}"


def digest(image: Image) -> str:
    """Return a digest of all that goes into the image, by what git would take along."""
    content = hashlib.sha256()
    settings = [image.tag, image.target, sorted(image.build_args.items()), architecture()]
    content.update(json.dumps(settings).encode())
    content.update(image.dockerfile.read_bytes())
    listed = run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *image.paths],
        cwd=image.context,
    )
    for name in sorted(set(filter(None, listed.split("\0")))):
        path = image.context / name
        if path.is_file():
            executable = os.access(path, os.X_OK)
            content.update(f"{name}\0{executable}\0".encode())
            content.update(hashlib.sha256(path.read_bytes()).digest())
    return content.hexdigest()[:24]


def bases(dockerfile: str) -> list[str]:
    """Return the images that a Dockerfile starts from, its own stages left out."""
    found, stages = [], {"scratch"}
    for line in dockerfile.splitlines():
        match = re.match(r"FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$", line, re.IGNORECASE)
        if match:
            if match[1] not in stages and match[1] not in found:
                found.append(match[1])
            stages.add(match[2])
    return found


def ensure_archive(image: Image, progress: Progress) -> Path:
    """Return an archive of the image, built with buildah when its content changed."""
    folder = cache_folder() / "images" / re.sub(r"[^a-z0-9.-]", "_", image.reference)
    archive = folder / f"{digest(image)}.tar"
    if archive.exists():
        progress.say(f"{image.tag} is built")
        return archive
    with locked(
        cache_folder() / "images" / "lock",
        lambda: progress.say("another process is building images; waiting for it"),
    ):
        if not archive.exists():
            for base in bases(image.dockerfile.read_text()):
                _ensure_base(base, progress)
            progress.say(f"building {image.tag}")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            _build(image, archive)
    return archive


def write_single_binary(archive: Path, binary: Path, reference: str) -> None:
    """Write an image archive that holds one static program and runs it."""
    layer = _tar({binary.name: (binary.read_bytes(), 0o755)})
    config = {
        "architecture": architecture(),
        "os": "linux",
        "config": {"Entrypoint": [f"/{binary.name}"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    files = {
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    archive.write_bytes(_tar({name: (data, 0o644) for name, data in files.items()}))


def _build(image: Image, archive: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pip = Path(scratch) / "pip.conf"
        pip.write_text(_pip_settings())
        _buildah(
            "build",
            "--pull-never",
            "--layers",
            "--network=host",
            # Mounted for the build only: nothing of the build machine stays in the image.
            "--volume=/etc/ssl/certs:/etc/ssl/certs:ro",
            f"--volume={pip}:/etc/pip.conf:ro",
            f"--file={image.dockerfile}",
            f"--tag={image.reference}",
            *([f"--target={image.target}"] if image.target else []),
            *(f"--build-arg={name}={value}" for name, value in image.build_args.items()),
            image.context,
        )
    part = archive.with_suffix(".part")
    part.unlink(missing_ok=True)
    # Of the archive formats this one holds plain layers, which saves seconds at both ends.
    _buildah("push", image.reference, f"docker-archive:{part}:{image.reference}")
    part.replace(archive)


def _ensure_base(base: str, progress: Progress) -> None:
    reference = full_reference(base)
    if _have(reference):
        return
    progress.say(f"pulling {base}")
    try:
        _buildah("pull", reference, timeout=120)
    except CommandError as error:
        if reference != full_reference(PYTHON_BASE):
            raise NoClusterError(
                f"The base image {base} can neither be pulled nor made here; "
                f"{PYTHON_BASE} could be made. {error}"
            ) from error
        _make_python_base(reference, progress)


def _make_python_base(reference: str, progress: Progress) -> None:
    progress.say(
        f"no registry within reach: making {PYTHON_BASE} of Debian packages (usually 30 s)"
    )
    with tempfile.TemporaryDirectory(dir=cache_folder() / "images") as scratch:
        files = Path(scratch) / "base.tar"
        include = f"--include={','.join(PYTHON_PACKAGES)}"
        run(["mmdebstrap", "--quiet", "--variant=minbase", include, "trixie", files])
        container = _buildah("from", "scratch").strip()
        try:
            _buildah("add", "--quiet", container, files, "/")
            _buildah("config", "--cmd=python3", "--env=LANG=C.UTF-8", container)
            _buildah("commit", "--quiet", container, reference)
        finally:
            _buildah("rm", container)


def _have(reference: str) -> bool:
    try:
        _buildah("inspect", "--type=image", reference)
    except CommandError:
        return False
    return True


def _buildah(verb: str, *args: str | Path, timeout: float | None = None) -> str:
    """Run buildah on a storage of our own, in mounts that end with it."""
    folder = cache_folder() / "images" / "storage"
    folder.mkdir(parents=True, exist_ok=True)
    registries = folder / "registries.conf"
    registries.write_text('unqualified-search-registries = ["docker.io"]\n')
    policy = folder / "policy.json"
    policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    env = {
        **os.environ,
        "BUILDAH_ISOLATION": "chroot",
        "STORAGE_DRIVER": "overlay",
        "CONTAINERS_REGISTRIES_CONF": str(registries),
    }
    storage = [f"--root={folder / 'root'}", f"--runroot={folder / 'run'}"]
    signed = [f"--signature-policy={policy}"] if verb in {"build", "pull", "push", "commit"} else []
    return run(
        ["unshare", "--mount", "buildah", *storage, verb, *signed, *args], env=env, timeout=timeout
    )


def _pip_settings() -> str:
    """Return where this machine's pip finds packages, in the form of a pip.conf."""
    wanted = ("index-url", "extra-index-url", "trusted-host", "timeout", "default-timeout")
    try:
        listed = run([sys.executable, "-m", "pip", "config", "list"])
    except CommandError:
        return ""
    # One line per setting, as in `global.index-url='…'`; the later ones win, as they do in pip.
    options = dict(re.findall(r"^\S*?\.([\w-]+)='(.*)'$", listed, re.MULTILINE))
    options["cert"] = "/etc/ssl/certs/ca-certificates.crt"
    kept = [f"{name} = {options[name]}" for name in (*wanted, "cert") if name in options]
    return "\n".join(["[global]", *kept, ""])


def _tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, (data, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
