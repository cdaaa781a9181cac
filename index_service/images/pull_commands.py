"""What to type to pull a tag: with Docker up to 17.05, which pulls by v1, and with today's clients, by `/v2/`.

These name an image by its digest, which no later push moves, or by its tag while the digest is not known.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from common.names import RepositoryName, Tag
from index_service.registry_client import Translation

DEFAULT_TAG = "latest"


@dataclass(frozen=True, slots=True)
class PullCommand:
    """A line for a shell, and the program that it runs."""

    program: str
    line: str


@dataclass(frozen=True, slots=True)
class PullCommands:
    """`v1` is for Docker up to 17.05; `current`, for today's clients, is empty where these cannot have the image."""

    v1: str
    current: tuple[PullCommand, ...]

    @classmethod
    def of(
        cls, host: str, name: RepositoryName, tag: str, translation: Translation, *, is_secure: bool
    ) -> PullCommands:
        """`host` is the index as clients name it; unless it `is_secure` they have to be told to speak plain HTTP."""
        place = f"{host}/{name.name if name.is_library else name}"
        v1 = f"docker pull {shlex.quote(place if tag == DEFAULT_TAG else f'{place}:{tag}')}"
        if translation.problem or not name.is_creatable or not (translation.digest or Tag(tag).is_creatable):
            return cls(v1, ())
        reference = f"{place}@{translation.digest}" if translation.digest else f"{place}:{tag}"
        return cls(v1, tuple(_current(reference, name, is_secure=is_secure)))


def _current(reference: str, name: RepositoryName, *, is_secure: bool) -> Iterator[PullCommand]:
    image, folder = shlex.quote(reference), shlex.quote(f"oci:{name.name.rpartition('/')[2]}")
    yield PullCommand("Docker", f"docker pull {image}")
    yield PullCommand("Podman", _line("podman pull", "" if is_secure else "--tls-verify=false", image))
    source = shlex.quote(f"docker://{reference}")
    yield PullCommand("Skopeo", _line("skopeo copy", "" if is_secure else "--src-tls-verify=false", source, folder))
    yield PullCommand("containerd", _line("ctr images pull", "" if is_secure else "--plain-http", image))


def _line(*words: str) -> str:
    return " ".join(word for word in words if word)
