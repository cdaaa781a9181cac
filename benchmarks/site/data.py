"""An index full of repositories, written straight into its tables: rows that a busy site would have after years.

Everything follows from numbers, so that two runs read the same pages. A repository lists twenty images: ten of one of
a thousand shared bases and ten of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, insert, text
from sqlalchemy.orm import Session

from index_service import markdown
from index_service.accounts import models as accounts
from index_service.db import Base
from index_service.images import models as images
from index_service.repositories import models as repositories
from index_service.search import documents
from index_service.social import models as social

BASES = 1000
DEPTH = 10
"""Images of a base, and as many that a repository puts on top."""

TAGS = ("latest", "1.0", "1.1", "1.2", "2.0")
_EPOCH = datetime(2015, 1, 1, tzinfo=UTC)
_TODAY = datetime.now(UTC).date()
_WORDS = re.findall(
    r"\w+",
    "anchor ballast barge beacon berth bollard bridge buoy cable canal cargo channel chart compass container crane "
    "current deck depot dock draught ebb ferry fleet freight galley gangway harbour hatch haven hawser hold hull "
    "keel knot ledger lighter lock manifest mast mooring oar pier pilot port quay raft rigging rope rudder sail "
    "sextant ship slip sounding spar stern store surge tackle tide tow trade trawler tug vessel wake watch wharf winch",
)

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Library:
    """What there is: so many repositories, in namespaces of fifty each."""

    size: int

    @property
    def people(self) -> int:
        return max(1, self.size // 50)

    def person(self, number: int) -> str:
        return f"{_word(number)}-{number}"

    def repository(self, number: int) -> str:
        """Its full name."""
        return f"{self.person(number % self.people + 1)}/{_word(number * 7)}-{_word(number * 13)}-{number}"

    def term(self, number: int) -> str:
        """A word that some of them have, in their names or descriptions."""
        return _word(number * 31) if number % 2 else _term(number, 0)

    def fill(self, engine: Engine) -> None:
        """Write it all into an index that is migrated and empty."""
        load = _copy if engine.dialect.name == "postgresql" else _insert
        with engine.begin() as connection:
            for model, rows in self._tables():
                load(connection, model, rows)
            if engine.dialect.name == "postgresql":
                _follow_numbers(connection)
        with Session(engine) as session, session.begin():
            last: int | None = 0
            while last is not None:
                last = documents.refresh_outdated(session, last)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))

    def _tables(self) -> Iterator[tuple[type[Base], Iterable[Row]]]:
        numbers = range(1, self.size + 1)
        yield accounts.User, map(self._user, range(1, self.people + 1))
        yield accounts.Namespace, map(self._namespace, range(1, self.people + 1))
        yield repositories.Repository, map(self._repository, numbers)
        yield images.ImageRecord, (row for base in range(BASES) for row in _images(f"base-{base}", None))
        yield images.ImageRecord, (row for number in numbers for row in _images(f"own-{number}", _top(number)))
        yield repositories.ListedImage, (row for number in numbers for row in _listed(number))
        yield repositories.HeldImage, ({**row, "held_at": _EPOCH} for number in numbers for row in _listed(number))
        yield repositories.TagRecord, (row for number in numbers for row in _tags(number))
        yield repositories.TagHistoryRecord, (row for number in numbers for row in self._moves(number))
        yield repositories.PullCount, (row for number in numbers[::10] for row in _pulls(number))
        yield social.Star, (row for number in numbers[::5] for row in self._stars(number))
        yield social.Comment, map(self._comment, numbers[::10])

    def _user(self, number: int) -> Row:
        return {"id": number, "name": self.person(number), "password_hash": "!", "created_at": _EPOCH}

    def _namespace(self, number: int) -> Row:
        return {"name": self.person(number), "user_id": number}

    def _repository(self, number: int) -> Row:
        namespace, _, name = self.repository(number).partition("/")
        pushed = _pushed(number)
        words = " ".join(_term(number, place) for place in range(8))
        readme = f"# {name}\n\n{words}\n\n" + "\n".join(f"* {_term(number, place)}" for place in range(8, 48))
        return {
            "id": number,
            "namespace": namespace,
            "name": name,
            "creator_id": number % self.people + 1,
            "description": words,
            "readme": readme,
            "readme_html": markdown.readme(readme),
            "rendered_by": markdown.readme.version,
            "is_private": number % 20 == 0,
            "is_tagged": True,
            "star_count": self._star_count(number),
            "pull_count": number * 7919 % 10_007,
            "layer_bytes": 20 * 1_000_000,
            "endpoint": "127.0.0.1:5001",
            "created_at": _EPOCH,
            "updated_at": pushed,
            "pushed_at": pushed,
        }

    def _star_count(self, number: int) -> int:
        return min(number % 40, self.people) if number % 5 == 1 else 0

    def _stars(self, number: int) -> Iterator[Row]:
        for person in range(self._star_count(number)):
            yield {"user_id": person + 1, "repository_id": number, "created_at": _EPOCH}

    def _moves(self, number: int) -> Iterator[Row]:
        for place, tag in enumerate(TAGS):
            yield {
                "repository_id": number,
                "tag": tag,
                "image_id": _image(f"own-{number}", DEPTH - 1 - place),
                "user_id": number % self.people + 1,
                "client": "docker/1.5.0 go/go1.4.1 kernel/3.16 os/linux arch/amd64",
                "at": _pushed(number),
            }

    def _comment(self, number: int) -> Row:
        return {
            "repository_id": number,
            "author_id": number % self.people + 1,
            "body": f"It runs well on our {_word(number)}.",
            "tag": "1.0" if number % 50 == 1 else None,
            "created_at": _EPOCH,
        }


def _word(number: int) -> str:
    return _WORDS[number % len(_WORDS)]


def _term(number: int, place: int) -> str:
    """One of some five thousand words, a few of them everywhere and most of them rare, as words are."""
    chance = (number * 7919 + place * 104_729) % 1009 / 1009
    rank = int(chance**3 * len(_WORDS) ** 2)
    return _word(rank // len(_WORDS)) + _word(rank)


def _pushed(number: int) -> datetime:
    return _EPOCH + timedelta(minutes=number * 104_729 % 500_000)


def _image(chain: str, place: int) -> str:
    return hashlib.sha256(f"{chain}/{place}".encode()).hexdigest()


def _top(number: int) -> str:
    """The image that a repository's own stand on."""
    return _image(f"base-{number % BASES}", DEPTH - 1)


def _images(chain: str, parent: str | None) -> Iterator[Row]:
    below = DEPTH if parent else 0
    for place in range(DEPTH):
        image_id = _image(chain, place)
        command = f"/bin/sh -c apt-get install -y {_word(place)} && make {chain}"
        document = {"id": image_id, "parent": parent, "container_config": {"Cmd": [command]}, "os": "linux"}
        yield {
            "image_id": image_id,
            "parent_id": parent,
            "size": 1_000_000,
            "total_size": (below + place + 1) * 1_000_000,
            "depth": below + place,
            "created_at": _EPOCH,
            "command": command,
            "docker_version": "1.5.0",
            "os": "linux",
            "architecture": "amd64",
            "config": json.dumps(document),
            "read_at": _EPOCH,
        }
        parent = image_id


def _listed(number: int) -> Iterator[Row]:
    for chain in (f"base-{number % BASES}", f"own-{number}"):
        for place in range(DEPTH):
            yield {"repository_id": number, "image_id": _image(chain, place)}


def _tags(number: int) -> Iterator[Row]:
    for place, tag in enumerate(TAGS):
        image_id = _image(f"own-{number}", DEPTH - 1 - place)
        yield {"repository_id": number, "name": tag, "image_id": image_id, "updated_at": _pushed(number)}


def _pulls(number: int) -> Iterator[Row]:
    for days in range(30):
        day: date = _TODAY - timedelta(days=days)
        yield {"repository_id": number, "day": day, "count": number % 50 + days}


def _complete(model: type[Base]) -> Callable[[Row], Row]:
    """Adds what the model would add itself."""
    defaults = {
        column.name: column.default.arg
        for column in model.__table__.columns
        if column.default is not None and column.default.is_scalar
    }
    return lambda row: defaults | row


def _insert(connection: Connection, model: type[Base], rows: Iterable[Row]) -> None:
    remaining = map(_complete(model), rows)
    while batch := list(islice(remaining, 5000)):
        connection.execute(insert(model), batch)


def _copy(connection: Connection, model: type[Base], rows: Iterable[Row]) -> None:
    """As `_insert`, in PostgreSQL's own way of taking many rows."""
    remaining = map(_complete(model), rows)
    first = next(remaining, None)
    if first is None:
        return
    columns = list(first)
    driver: Any = connection.connection.dbapi_connection
    with driver.cursor().copy(f"COPY {model.__tablename__} ({', '.join(columns)}) FROM STDIN") as copy:
        copy.write_row(list(first.values()))
        for row in remaining:
            copy.write_row([row[column] for column in columns])


def _follow_numbers(connection: Connection) -> None:
    """What gives numbers to rows has to go on behind those that were given here."""
    for model in (accounts.User, repositories.Repository):
        table = model.__tablename__
        connection.execute(text(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"))
