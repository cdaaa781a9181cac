"""The access policy: who may do what with a repository, as pure functions called by every entry point.

    action   needs the role   given to
    READ     read             its holders; everybody, if the repository is public
    CREATE   write            its holders in the whole namespace
    WRITE    write            its holders: push, delete tags, edit the texts, annotate
    DELETE   admin            its holders
    MANAGE   admin            its holders: visibility, roles, transfer, moderation of comments

A person administers the namespace of the same name, an organisation's owners administer its namespace, and the
administrators of the site `library`. All other access is granted as a role (module `roles`). An access token never
opens more than it was created for, and is never an administrator.

A private name hides. Without read access the response is exactly that for a name that does not exist: "images not
found", 404, with or without a login (protocol §2.4 allows 401 for a caller without one; that would reveal that the
name is taken). A refused write has the same response whether or not the name is taken: 401 without a login, 403 with
one. If reading requires a login, every name responds with 401 without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from common.errors import Forbidden, NotFound, Unauthenticated
from common.names import RepositoryName
from common.tokens import Access
from index_service.accounts.actor import Actor


class Role(IntEnum):
    """Access to a repository; each role includes those before it."""

    READ = 1
    WRITE = 2
    ADMIN = 3

    @classmethod
    def parse(cls, text: str) -> Role:
        """Raises KeyError for an unknown role."""
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
class PolicyInput:
    """The policy's input: the repository and the caller's `role`, in the namespace if the repository does not exist.

    `login_only` holds for the whole index: nobody reads without a login.
    """

    name: RepositoryName
    exists: bool = False
    is_private: bool = False
    role: Role | None = None
    login_only: bool = False


def permits(actor: Actor | None, facts: PolicyInput, action: Action) -> bool:
    """Whether `actor`, None for a caller without a login, may do this."""
    role = _limited(actor, facts)
    if role is not None and role >= NEEDED[action]:
        return True
    if action is not Action.READ or not facts.exists or facts.is_private:
        return False
    return not facts.login_only or (actor is not None and _opens(actor, facts))


def require(actor: Actor | None, facts: PolicyInput, action: Action) -> None:
    """Raises RepositoryNotFound, Unauthenticated or Forbidden, in the words of the module's opening."""
    if permits(actor, facts, action):
        if not facts.exists and action is not Action.CREATE:
            raise RepositoryNotFound
    elif actor is None and (facts.login_only or action is not Action.READ):
        raise Unauthenticated("Requires authorization")
    elif actor is None or action is Action.READ:
        raise RepositoryNotFound
    else:
        # Creating and writing are refused with one answer: a difference would reveal whether the name is taken.
        verb = Action.WRITE if action is Action.CREATE else action
        raise Forbidden(f"{actor.name} may not {verb} repositories of {facts.name.namespace}")


def _limited(actor: Actor | None, facts: PolicyInput) -> Role | None:
    """The role, limited by the access token that the actor presented."""
    if actor is None or facts.role is None or actor.limits is None:
        return facts.role
    if not _opens(actor, facts):
        return None
    return min(facts.role, Role.WRITE if actor.limits.can_write else Role.READ)


def _opens(actor: Actor, facts: PolicyInput) -> bool:
    return actor.limits is None or actor.limits.opens(str(facts.name))
