"""Who may do what with a repository: pure functions, asked by every door.

    action   public                private               library
    READ     everybody             its owner             as public or private, and administrators
    CREATE   who the namespace is named after             administrators
    WRITE    its owner             its owner             administrators
    DELETE   its owner             its owner             administrators

A private name hides. To whoever may not read it, it is answered exactly as a name that does not exist:
"images not found", 404, with or without a login (protocol §2.4 would let a server answer 401 to a caller
without one; then the answer itself would tell that the name is taken). What may not be written is refused
by its namespace alone, taken or not: 401 to a caller without a login, 403 to one with another's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from common.errors import Forbidden, NotFound, Unauthenticated
from common.names import RepositoryName
from common.tokens import Access
from index_service.accounts.people import Actor


class Action(StrEnum):
    READ = "read"
    CREATE = "create"
    WRITE = "write"
    DELETE = "delete"


GRANTED_BY = {Access.READ: Action.READ, Access.WRITE: Action.WRITE, Access.DELETE: Action.DELETE}
"""What its bearer still has to be permitted for a token to be believed."""


class RepositoryNotFound(NotFound):
    """Absent or hidden."""

    def __init__(self) -> None:
        super().__init__("images not found")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the policy knows of a repository; `owner_id` is None while it does not exist."""

    name: RepositoryName
    owner_id: int | None = None
    is_private: bool = False


def permits(actor: Actor | None, facts: Facts, action: Action) -> bool:
    """Whether `actor`, None for a caller without a login, may do this."""
    if action is Action.READ and facts.owner_id is not None and not facts.is_private:
        return True
    if actor is None:
        return False
    if facts.name.is_library:
        return actor.is_admin
    if facts.owner_id is not None:
        return facts.owner_id == actor.id
    return facts.name.namespace == actor.name


def require(actor: Actor | None, facts: Facts, action: Action) -> None:
    """Raises RepositoryNotFound, Unauthenticated or Forbidden, in the words of the module's opening."""
    permitted = permits(actor, facts, action)
    if action is not Action.READ and not permitted:
        if actor is None:
            raise Unauthenticated("Requires authorization")
        # To create and to write are refused alike: the difference would tell whether the name is taken.
        verb = Action.WRITE if action is Action.CREATE else action
        raise Forbidden(f"{actor.name} may not {verb} repositories of {facts.name.namespace}")
    if not permitted or (facts.owner_id is None and action is not Action.CREATE):
        raise RepositoryNotFound
