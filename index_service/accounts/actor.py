"""The actor: an authenticated account, and the limits of the access token that authenticated it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an access token: repositories whose full names match `pattern`, read-only unless `can_write`.

    In the pattern `*` stands for any run of characters, slashes too, and everything else for itself.
    """

    token_id: int
    pattern: str
    can_write: bool

    def opens(self, repository: str) -> bool:
        """Whether the pattern matches this full name, `namespace/name`."""
        first, *pieces = self.pattern.split("*")
        if not pieces:
            return repository == first
        # Each piece where it comes first: no pattern can make this backtrack.
        at = len(first) if repository.startswith(first) else -1
        for piece in pieces[:-1]:
            found = repository.find(piece, at) if at >= 0 else -1
            at = found + len(piece) if found >= 0 else -1
        return 0 <= at <= len(repository) - len(pieces[-1]) and repository.endswith(pieces[-1])


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated, active account, with `limits` if an access token authenticated it.

    `generation` is the account's `reset_generation` at that time: if the account has another by now, its password has
    changed since, or it was closed.
    """

    id: int
    name: str
    is_admin: bool
    limits: Limits | None = None
    generation: int = 0
