"""The properties of a repository as docker-registry has them: whether it is private (protocol §3.9)."""

from __future__ import annotations

from typing import Any

from common.errors import Invalid

_PRIVATE = {"private": True, "public": False}


def write_properties(*, is_private: bool) -> dict[str, str]:
    return {"access": "private" if is_private else "public"}


def read_properties(body: Any) -> bool:
    """Whether a body makes a repository private. Raises Invalid."""
    access = body.get("access") if isinstance(body, dict) else None
    if not isinstance(access, str) or access not in _PRIVATE:
        raise Invalid("Invalid data")
    return _PRIVATE[access]
