"""What the User-Agent of a client says of it, read tolerantly: what cannot be read is not known (protocol §1.10)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIELD = re.compile(r"(?:^|\s)(docker|go|kernel|os|arch)/([^\s()]{1,128})")
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})(?![\d])")

_PROBE_OF_1_5 = "Go 1.1 package http"
"""Docker 1.5 looks for v2 under the name of Go's library."""

_READS_V2 = (17, 6)
"""Older daemons read v2, from 1.5 on, but push by v1 only where they find none. From 17.06 on a pull by v1 is over."""


_FAMILIES = (
    ("containerd", "containerd/"), ("podman", "libpod/"), ("podman", "podman/"), ("buildah", "buildah/"),
    ("skopeo", "skopeo/"), ("containers", "containers/"), ("containers", "github.com/containers/image"),
    ("crane", "go-containerregistry"), ("wharfinger", "wharfinger-"), ("browser", "mozilla/"), ("curl", "curl/"),
    ("prober", "kube-probe/"), ("prober", "haproxy"),
)  # fmt: skip
"""Kinds of client that are no daemon of Docker, and what their User-Agents have, in lower case."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A daemon as it described itself; None is what it did not say."""

    docker: str | None = None
    go: str | None = None
    kernel: str | None = None
    os: str | None = None
    arch: str | None = None


def parse(user_agent: str) -> Agent:
    """Read `docker/<version> go/<version> git-commit/<sha> kernel/<release> os/<os> arch/<arch>`, in any part."""
    found: dict[str, str] = {}
    for key, value in _FIELD.findall(user_agent[:2048]):
        # What an upstream client adds behind comes later and does not count.
        found.setdefault(key, value)
    return Agent(**found)


def docker_version(user_agent: str) -> tuple[int, int] | None:
    """Major and minor version of the daemon; None where it does not say, or says `library-import`."""
    match = _VERSION.match(parse(user_agent).docker or "")
    return (int(match[1]), int(match[2])) if match else None


def family(user_agent: str) -> str:
    """The kind of client, one of some fifteen: daemons by what they speak."""
    version = docker_version(user_agent)
    if version is not None:
        return "docker<1.10" if version < (1, 10) else "docker<17.06" if version < _READS_V2 else "docker"
    if user_agent.startswith(("docker/", _PROBE_OF_1_5)):
        return "docker<1.10"
    lower = user_agent.lower()
    return next((name for name, part in _FAMILIES if part in lower), "other" if lower else "none")


def goes_on_by_v1(user_agent: str) -> bool:
    """Whether it is a daemon that pushes and pulls by v1 where it finds no v2."""
    if user_agent.strip() == _PROBE_OF_1_5:
        return True
    version = docker_version(user_agent)
    return version is not None and version < _READS_V2
