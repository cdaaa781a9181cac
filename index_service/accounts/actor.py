"""The actor: somebody who proved to be an account, and what an access token leaves of what the account may do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What an access token opens: repositories whose full names match `pattern`, to write too or only to read.

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
        # Each piece where it comes first: a pattern cannot make this go back and try again.
        at = len(first) if repository.startswith(first) else -1
        for piece in pieces[:-1]:
            found = repository.find(piece, at) if at >= 0 else -1
            at = found + len(piece) if found >= 0 else -1
        return 0 <= at <= len(repository) - len(pieces[-1]) and repository.endswith(pieces[-1])


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who proved to be this active account, with `limits` where an access token was the proof."""

    id: int
    name: str
    is_admin: bool
    limits: Limits | None = None
