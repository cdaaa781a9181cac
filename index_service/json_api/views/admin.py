"""What administrators of the index ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import request

from common.errors import Invalid
from index_service.accounts.directory import PEOPLE_SORTS, STATES, PersonRow
from index_service.audit.reading import Entry, Filter
from index_service.images.storage import NamespaceStorage
from index_service.json_api.answers import Listing
from index_service.json_api.asking import address, administrator, door, proved_administrator, services
from index_service.json_api.routes import Param, Routes, argument, paged
from index_service.json_api.shapes import ABSENT, Absent
from index_service.pages import paging
from index_service.services.administration import Counts, Registries

_MOMENT: dict[str, Any] = {"type": "string", "format": "date-time"}

routes = Routes("admin")


@dataclass(frozen=True, slots=True)
class StandingChange:
    """What is to be changed of an account; what is left out stays as it is."""

    is_active: bool | Absent = ABSENT
    is_admin: bool | Absent = ABSENT


@dataclass(frozen=True, slots=True)
class ResetTold:
    """Where somebody sets a new password; `email` is where to send it, null where there is no address."""

    name: str
    email: str | None
    url: str


@dataclass(frozen=True, slots=True)
class StorageTold:
    """All that is kept, in bytes: `apart` is what it would be without sharing, `together` what it is."""

    repositories: int
    images: int
    apart: int
    together: int
    counted_at: datetime


@routes.get("/admin", who=administrator)
def get_counts() -> Counts:
    """How much there is."""
    return services().administration.counts(administrator())


@routes.get(
    "/admin/people",
    who=administrator,
    query=[
        *paged(PEOPLE_SORTS),
        Param("q", "Words in names or addresses."),
        Param("state", "Which accounts.", {"type": "string", "enum": [*STATES], "default": STATES[0]}),
    ],
)
def list_people() -> Listing[PersonRow]:
    """The accounts."""
    asked, state = paging.asked(request.args, PEOPLE_SORTS), argument("state", STATES[0])
    if state not in STATES:
        raise Invalid(f"state has to be one of {', '.join(STATES)}")
    who, words = administrator(), argument("q")
    rows, total = services().administration.people(who, words, state, asked.sort, asked.size, asked.offset)
    return Listing.of(asked.of(total), rows)


@routes.patch("/admin/people/<someone:person>", who=proved_administrator)
def change_person(person: str, body: StandingChange) -> None:
    """Open or close an account, make an administrator or unmake one; not of oneself, and one at a time."""
    who, ask = proved_administrator(), services().administration
    if (body.is_active is ABSENT) == (body.is_admin is ABSENT):
        raise Invalid("Give is_active or is_admin, one at a time")
    if body.is_active is not ABSENT:
        ask.set_active(who, address(), person, is_active=body.is_active)
    if body.is_admin is not ABSENT:
        ask.set_admin(who, address(), person, is_admin=body.is_admin)


@routes.post("/admin/people/<someone:person>/reset", who=proved_administrator)
def create_reset_link(person: str) -> ResetTold:
    """A link with which somebody sets a new password."""
    found = services().administration.reset_link(proved_administrator(), address(), person)
    return ResetTold(found.name, found.email, f"{door().origin}/reset/{found.link}")


@routes.get("/admin/registries", who=administrator)
def get_registries() -> Registries:
    """The registries and their health, and what is still to be done with them."""
    return services().administration.registries(administrator())


@routes.get("/admin/storage", who=administrator)
def get_storage() -> StorageTold:
    """How much is kept; counted every ten minutes at most."""
    found = services().administration.storage(administrator())
    kept = found.storage
    return StorageTold(kept.repositories, kept.images, kept.apart, kept.together, found.at)


@routes.get("/admin/storage/namespaces", who=administrator, query=paged())
def list_storage() -> Listing[NamespaceStorage]:
    """What each namespace keeps, the largest first."""
    kept = services().administration.storage(administrator()).storage.namespaces
    asked = paging.asked(request.args).of(len(kept))
    rows = sorted(kept, key=lambda row: (-row.together, row.namespace))
    return Listing.of(asked, rows[asked.offset : asked.offset + asked.size])


@routes.get(
    "/admin/audit",
    who=administrator,
    query=[
        *paged(),
        Param("actor", "Who did it."),
        Param("action", "What was done: `role.given`, or `role` for all that is done to roles."),
        Param("subject", "To whom or what: a name, or a namespace."),
        Param("since", "The moment it begins with.", _MOMENT),
        Param("until", "The moment before which it ends.", _MOMENT),
    ],
)
def list_audit() -> Listing[Entry]:
    """The audit log, newest first."""
    asked = paging.asked(request.args)
    wanted = Filter(
        argument("actor"), argument("action"), argument("subject", most=511), _moment("since"), _moment("until")
    )
    entries, total = services().administration.audit(administrator(), wanted, asked.size, asked.offset)
    return Listing.of(asked.of(total), entries)


def _moment(name: str) -> datetime | None:
    text = argument(name)
    try:
        found = datetime.fromisoformat(text) if text else None
        return None if found is None else (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{name} has to be a moment or a day, such as 2015-06-08") from error
