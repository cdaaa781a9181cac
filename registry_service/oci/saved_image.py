"""An image as today's tools save it, in an OCI image layout or in a docker-archive: what both come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from common.errors import Invalid
from registry_service.oci.digests import Digest

MAX_JSON_BYTES = 4 * 1024**2
"""No index, manifest or config is larger; tools refuse larger ones, too."""

_NAMES_TOLD = 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SavedLayer:
    """A layer; `open` reads it from its beginning. `digest` is what the bytes have to be, where something says so."""

    name: str
    digest: Digest | None
    open: Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class SavedImage:
    """The config verbatim, and the layers, the base first."""

    config: bytes
    layers: Sequence[SavedLayer]


def parsed(content: bytes, kind: type[T], what: str) -> T:
    """Raises Invalid."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Invalid(f"{what} is not what it should be: {str(error)[:200]}") from error


def chosen(by_name: Mapping[str, T], unnamed: Sequence[T], reference: str) -> T:
    """The one of this name, or the only one for an empty name. Raises Invalid, with the names that there are."""
    if reference in by_name:
        return by_name[reference]
    everything = [*dict.fromkeys(map(id, by_name.values())), *map(id, unnamed)]
    if not reference and len(everything) == 1:
        return [*by_name.values(), *unnamed][0]
    names = ", ".join(map(told, sorted(by_name)[:_NAMES_TOLD])) or "none with a name"
    said = f"There is no image {reference}" if reference else f"There are {len(everything)} images"
    raise Invalid(f"{said}: give one of those that are there ({names}) behind another colon")


def told(name: str) -> str:
    """A name that somebody else chose, without what would write to a terminal elsewhere."""
    return ascii(name[:100])[1:-1]
