"""Example images, made of nothing: real layers with shared bases, the same ids and bytes at every run."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from dataclasses import dataclass
from typing import Any

DOCKER_VERSION = "1.5.0"
NOP = "#(nop) "


@dataclass(frozen=True)
class Step:
    """One instruction of a Dockerfile: the shell's word for it, the files it leaves, what it changes of the config."""

    instruction: str
    files: dict[str, int]
    """Path → size in bytes; the content is noise, which packs as badly as programs do."""
    config: dict[str, Any]


def run(command: str, **files: int) -> Step:
    """`RUN command`, which wrote files of these sizes; two underscores in a name stand for a slash."""
    return Step(command, {name.replace("__", "/"): size for name, size in files.items()}, {})


def add(what: str, **files: int) -> Step:
    return Step(f"{NOP}ADD {what}", {name.replace("__", "/"): size for name, size in files.items()}, {})


def env(name: str, value: str) -> Step:
    return Step(f"{NOP}ENV {name}={value}", {}, {"Env": [f"{name}={value}"]})


def expose(port: int) -> Step:
    return Step(f"{NOP}EXPOSE {port}", {}, {"ExposedPorts": {f"{port}/tcp": {}}})


def cmd(*words: str) -> Step:
    return Step(f"{NOP}CMD {json.dumps(words)}", {}, {"Cmd": list(words)})


@dataclass(frozen=True)
class Image:
    """One image as a daemon holds it."""

    id: str
    json: bytes
    layer: bytes

    @property
    def checksum(self) -> str:
        """Of the payload: the JSON, a line feed, the layer as it is sent."""
        return "sha256:" + hashlib.sha256(self.json + b"\n" + self.layer).hexdigest()


Chain = tuple[Image, ...]
"""An image and all it is based on, the base first."""


def build(base: Chain, author: str, day: str, *steps: Step) -> Chain:
    """The images that the steps make on top of others; `day` is when, as 2015-06-08."""
    chain = list(base)
    for number, step in enumerate(steps):
        parent = chain[-1] if chain else None
        chain.append(_make(parent, author, f"{day}T09:{number:02}:00Z", step))
    return tuple(chain)


def _make(parent: Image | None, author: str, created: str, step: Step) -> Image:
    seed = "\n".join([parent.id if parent else "", author, created, step.instruction])
    image_id = hashlib.sha256(seed.encode()).hexdigest()
    layer = _pack(step.files, seed)
    config = _config(parent)
    config["Env"] = config.get("Env", []) + step.config.get("Env", [])
    config.update({key: value for key, value in step.config.items() if key != "Env"})
    document = {
        "id": image_id,
        **({"parent": parent.id} if parent else {}),
        "created": created,
        "container_config": {**config, "Cmd": ["/bin/sh", "-c", step.instruction]},
        "docker_version": DOCKER_VERSION,
        "author": author,
        "config": config,
        "architecture": "amd64",
        "os": "linux",
        "Size": sum(step.files.values()),
    }
    return Image(image_id, json.dumps(document, separators=(",", ":")).encode(), layer)


def _config(parent: Image | None) -> dict[str, Any]:
    config: dict[str, Any] = {} if parent is None else json.loads(parent.json)["config"]
    return config


def _pack(files: dict[str, int], seed: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, size in files.items():
            member = tarfile.TarInfo(path)
            member.size = size
            member.mode = 0o755
            archive.addfile(member, io.BytesIO(random.Random(seed + path).randbytes(size)))
    return gzip.compress(packed.getvalue(), compresslevel=1, mtime=0)
