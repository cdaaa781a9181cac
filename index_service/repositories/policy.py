"""Who may do what with a repository: pure functions, asked by every door.

    action   needs the role   given to
    READ     read             who has it; everybody, where the repository is public
    CREATE   write            who has it in the whole namespace
    WRITE    write            who has it: push, delete tags, describe, annotate
    DELETE   admin            who has it
    MANAGE   admin            who has it: visibility, roles, transfer, what others said

A person is the administrator of the namespace that bears the person's name, an organisation's owners of its namespace,
and the administrators of the site of `library`. Whatever else somebody may do has been given as a role (module
`roles`). An access token opens no more than it was made for, and is never an administrator.

A private name hides. To whoever may not read it, it is answered exactly as a name that does not exist:
"images not found", 404, with or without a login (protocol §2.4 would let a server answer 401 to a caller
without one; then the answer itself would tell that the name is taken). What may not be written is refused in the same
words, taken or not: 401 to a caller without a login, 403 to one with another's. Where nobody may read without a login,
that is what every name answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from common.errors import Forbidden, NotFound, Unauthenticated
from common.names import RepositoryName
from common.tokens import Access
from index_service.accounts.actor import Actor


class Role(IntEnum):
    """What somebody may do with a repository; each holds those before it."""

    READ = 1
    WRITE = 2
    ADMIN = 3

    @classmethod
    def parse(cls, text: str) -> Role:
        """Raises KeyError for what is none."""
        return cls[text.upper()]

    def __str__(self) -> str:
        return self.name.lower()


class Action(StrEnum):
    READ = "read"
    CREATE = "create"
    WRITE = "write"
    DELETE = "delete"
    MANAGE = "manage"


NEEDED = {
    Action.READ: Role.READ,
    Action.CREATE: Role.WRITE,
    Action.WRITE: Role.WRITE,
    Action.DELETE: Role.ADMIN,
    Action.MANAGE: Role.ADMIN,
}

GRANTED_BY = {Access.READ: Action.READ, Access.WRITE: Action.WRITE, Access.DELETE: Action.DELETE}
"""What its bearer still has to be permitted for a token to be believed."""


class RepositoryNotFound(NotFound):
    """Absent or hidden."""

    def __init__(self) -> None:
        super().__init__("images not found")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the policy knows of a repository, and of the one who asks: `role`, in the namespace while it is absent.

    `login_only` is the whole index's: nobody reads without a login.
    """

    name: RepositoryName
    exists: bool = False
    is_private: bool = False
    role: Role | None = None
    login_only: bool = False


def permits(actor: Actor | None, facts: Facts, action: Action) -> bool:
    """Whether `actor`, None for a caller without a login, may do this."""
    role = _limited(actor, facts)
    if role is not None and role >= NEEDED[action]:
        return True
    if action is not Action.READ or not facts.exists or facts.is_private:
        return False
    return not facts.login_only or (actor is not None and _opens(actor, facts))


def require(actor: Actor | None, facts: Facts, action: Action) -> None:
    """Raises RepositoryNotFound, Unauthenticated or Forbidden, in the words of the module's opening."""
    if permits(actor, facts, action):
        if not facts.exists and action is not Action.CREATE:
            raise RepositoryNotFound
    elif actor is None and (facts.login_only or action is not Action.READ):
        raise Unauthenticated("Requires authorization")
    elif actor is None or action is Action.READ:
        raise RepositoryNotFound
    else:
        # To create and to write are refused alike: the difference would tell whether the name is taken.
        verb = Action.WRITE if action is Action.CREATE else action
        raise Forbidden(f"{actor.name} may not {verb} repositories of {facts.name.namespace}")


def _limited(actor: Actor | None, facts: Facts) -> Role | None:
    """The role as far as the access token goes that the actor came with."""
    if actor is None or facts.role is None or actor.limits is None:
        return facts.role
    if not _opens(actor, facts):
        return None
    return min(facts.role, Role.WRITE if actor.limits.can_write else Role.READ)


def _opens(actor: Actor, facts: Facts) -> bool:
    return actor.limits is None or actor.limits.opens(str(facts.name))
