"""People and organisations as others see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from index_service.accounts import directory
from index_service.services.profiles import PublicProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """An organisation that a person is in."""

    name: str
    full_name: str
    is_owner: bool

    @classmethod
    def of(cls, found: directory.Membership) -> Membership:
        return cls(name=found.name, full_name=found.full_name, is_owner=found.is_owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A person or an organisation. `kind` is person, organisation or library; `standing` the caller's relation: self,
    owner, member or nothing. Of a closed account only the name is shown."""

    kind: str
    name: str
    full_name: str
    about: str
    location: str
    company: str
    website: str
    since: datetime | None
    is_active: bool
    standing: str
    may_manage: bool
    organisations: tuple[Membership, ...]

    @classmethod
    def of(cls, found: PublicProfile) -> Profile:
        return cls(
            kind=found.kind,
            name=found.name,
            full_name=found.full_name,
            about=found.about,
            location=found.location,
            company=found.company,
            website=found.website,
            since=found.since,
            is_active=found.is_active,
            standing=found.standing,
            may_manage=found.may_manage,
            organisations=tuple(map(Membership.of, found.organisations)),
        )
