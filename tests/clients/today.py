"""Today's clients as programs: they pull by `/v2/` what daemons pushed by v1."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.images import Chain
from tests.clients.wire import Target
from tests.servers.process import Process, require
from tests.servers.services import Account

WHITEOUT = ".wh."


class ClientFailed(Exception):
    """A client ended with an error; the message is what it said."""


@dataclass(frozen=True)
class Pulled:
    """An image as a client has it: its id, and the tar of each layer, the base first."""

    config: str
    tars: tuple[bytes, ...]


def run(*command: str | Path, home: Path, **settings: str) -> bytes:
    """What a client prints. `settings` are more of its environment. Raises ClientFailed."""
    environ = {**os.environ, "HOME": str(home), **settings}
    done = subprocess.run([str(word) for word in command], env=environ, capture_output=True, timeout=300)
    if done.returncode != 0:
        raise ClientFailed((done.stdout + done.stderr).decode(errors="replace"))
    return done.stdout


@dataclass(frozen=True)
class Skopeo:
    """Skopeo, as somebody or nobody."""

    folder: Path
    account: Account | None = None

    def pull(self, target: Target, reference: str) -> Pulled:
        """Copy an image to a directory. Skopeo compares all digests on the way."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        self._run("copy", target, f"docker://{target.netloc}/{reference}", f"dir:{folder}", source="src-")
        manifest = json.loads((folder / "manifest.json").read_bytes())
        layers = [(folder / layer["digest"].partition(":")[2]).read_bytes() for layer in manifest["layers"]]
        return Pulled(manifest["config"]["digest"], tuple(map(gunzipped, layers)))

    def unpacked(self, target: Target, reference: str) -> dict[str, bytes]:
        """The files of an image that umoci unpacks, which compares every diff id."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        layout, bundle = folder / "layout", folder / "bundle"
        self._run("copy", target, f"docker://{target.netloc}/{reference}", f"oci:{layout}:x", source="src-")
        run(require("umoci", "umoci"), "unpack", "--rootless", "--image", f"{layout}:x", bundle, home=self.folder)
        return files_below(bundle / "rootfs")

    def inspect(self, target: Target, reference: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._run("inspect", target, f"docker://{target.netloc}/{reference}"))
        return found

    def tags(self, target: Target, repository: str) -> list[str]:
        listed = self._run("list-tags", target, f"docker://{target.netloc}/{repository}")
        found: list[str] = json.loads(listed)["Tags"]
        return found

    def _run(self, command: str, target: Target, *arguments: str, source: str = "") -> bytes:
        trust = [f"--{source}tls-verify=false"]
        if target.authority is not None:
            certificates = self.folder / "certificates"
            certificates.mkdir(exist_ok=True)
            shutil.copy(target.authority, certificates / "authority.crt")
            trust = [f"--{source}cert-dir={certificates}"]
        known = [] if self.account is None else [f"--{source}creds={self.account.name}:{self.account.password}"]
        program = require("skopeo", "skopeo")
        return run(program, "--insecure-policy", command, *trust, *known, *arguments, home=self.folder)


@dataclass(frozen=True)
class Podman:
    """Podman, and Buildah over the same images: no daemon, by plain HTTP."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Podman:
        folder.mkdir(parents=True)
        (folder / "engine.conf").write_text(
            f'[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\ntmp_dir = "{folder}/tmp"\n'
        )
        (folder / "registries.conf").write_text("")
        (folder / "auth.json").write_text("{}")
        settings = folder / ".config" / "containers"
        settings.mkdir(parents=True)
        (settings / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        return cls(folder)

    def __call__(self, *arguments: str) -> str:
        return self._run("podman", *arguments)

    def buildah(self, *arguments: str) -> str:
        return self._run("buildah", *arguments)

    def _run(self, program: str, *arguments: str) -> str:
        store = ("--root", self.folder / "images", "--runroot", self.folder / "run", "--storage-driver", "vfs")
        said = run(
            require(program, program),
            *store,
            *arguments,
            home=self.folder,
            CONTAINERS_CONF=str(self.folder / "engine.conf"),
            CONTAINERS_REGISTRIES_CONF=str(self.folder / "registries.conf"),
            REGISTRY_AUTH_FILE=str(self.folder / "auth.json"),
        )
        return said.decode()

    def files(self, image: str) -> dict[str, bytes]:
        """The files of an image that was pulled, as Buildah mounts it to build on."""
        container = self.buildah("from", "--pull-never", image).strip()
        return files_below(Path(self.buildah("mount", container).strip()))


@dataclass(frozen=True)
class Docker:
    """A Docker daemon of today and its command, on 127.0.0.1 by plain HTTP."""

    folder: Path
    process: Process

    def __call__(self, *arguments: str) -> str:
        socket = f"unix://{self.folder}/docker.sock"
        program = require("docker", "docker.io")
        return run(program, "-H", socket, *arguments, home=self.folder, DOCKER_BUILDKIT="0").decode()

    def files(self, image: str) -> dict[str, bytes]:
        """The files of a container made of an image."""
        socket = f"unix://{self.folder}/docker.sock"
        container = self("create", image, "/no-command").strip()
        exported = run(require("docker", "docker.io"), "-H", socket, "export", container, home=self.folder)
        return files_of(exported)


@contextmanager
def start_docker(folder: Path) -> Iterator[Docker]:
    folder.mkdir(parents=True)
    (folder / "empty.json").write_text("{}")
    network = ("--bridge=none", "--iptables=false", "--ip-forward=false", "--userland-proxy=false")
    command = [require("dockerd", "docker.io"), "--config-file", folder / "empty.json", "-s", "vfs", *network]
    command += ["-H", f"unix://{folder}/docker.sock", "-p", folder / "pid"]
    command += ["--data-root", folder / "root", "--exec-root", folder / "exec"]
    docker = Docker(folder, Process("dockerd", list(map(str, command)), folder))
    docker.process.start(lambda: _answers(docker))
    try:
        yield docker
    finally:
        docker.process.stop()


def _answers(docker: Docker) -> bool:
    try:
        docker("version")
    except ClientFailed:
        return False
    return True


@dataclass(frozen=True)
class Containerd:
    """containerd of today and its command."""

    folder: Path
    process: Process

    def __call__(self, *arguments: str) -> str:
        socket = self.folder / "containerd.sock"
        return run(require("ctr", "containerd"), "-a", socket, *arguments, home=self.folder).decode()

    def image(self, reference: str) -> Pulled:
        """An image that was pulled, and so unpacked: what containerd has of it."""
        exported = self.folder / "exported.tar"
        self("images", "export", str(exported), reference)
        with tarfile.open(exported) as archive:
            manifest = _blob(archive, json.loads(_read(archive, "index.json"))["manifests"][0])
            layers = [_blob(archive, layer) for layer in json.loads(manifest)["layers"]]
        return Pulled(json.loads(manifest)["config"]["digest"], tuple(map(gunzipped, layers)))


def _blob(archive: tarfile.TarFile, described: dict[str, str]) -> bytes:
    return _read(archive, f"blobs/{described['digest'].replace(':', '/')}")


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    return (archive.extractfile(name) or io.BytesIO()).read()


@contextmanager
def start_containerd(folder: Path) -> Iterator[Containerd]:
    folder.mkdir(parents=True)
    config = folder / "config.toml"
    disabled = ("cri", "btrfs", "zfs", "devmapper", "aufs", "overlayfs")
    config.write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
        f"disabled_plugins = {[f'io.containerd.snapshotter.v1.{name}' for name in disabled[1:]]}\n"
        f'[grpc]\n  address = "{folder}/containerd.sock"\n[ttrpc]\n  address = "{folder}/ttrpc.sock"\n'
    )
    command = [require("containerd", "containerd"), "-c", str(config)]
    containerd = Containerd(folder, Process("containerd", command, folder))
    containerd.process.start((folder / "containerd.sock").exists)
    try:
        yield containerd
    finally:
        containerd.process.stop()


def gunzipped(layer: bytes) -> bytes:
    return gzip.decompress(layer) if layer.startswith(b"\x1f\x8b") else layer


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def files_of(tar: bytes) -> dict[str, bytes]:
    """The contents of regular files, by name."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        members = [member for member in archive if member.isreg()]
        return {_plain(member.name): _read(archive, member.name) for member in members}


def files_below(folder: Path) -> dict[str, bytes]:
    """The contents of regular files, by name."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def files_in(chain: Chain) -> dict[str, bytes]:
    """The files of a container made of a chain: what layers add, without what they delete."""
    found: dict[str, bytes] = {}
    for image in chain:
        added = files_of(image.tar)
        for name in added:
            folder, _, last = name.rpartition("/")
            if last.startswith(WHITEOUT):
                gone = f"{folder}/{last.removeprefix(WHITEOUT)}".lstrip("/")
                found = {key: value for key, value in found.items() if key != gone and not key.startswith(f"{gone}/")}
        found |= {name: content for name, content in added.items() if WHITEOUT not in name}
    return found


def _plain(name: str) -> str:
    return name.removeprefix("./").lstrip("/")
