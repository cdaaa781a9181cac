"""What is done behind the scenes, by serving processes and by command: asking registries, counting pulls.

A registry is asked with tokens of the index's own, and never while a transaction is open: it checks each of them back
here, and a database that one question holds cannot answer the other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from threading import Event

from sqlalchemy.orm import Session

from common.errors import Conflict, Failure, Forbidden, NotFound
from common.names import ImageId, RepositoryName, Tag
from common.tokens import Access, Token
from index_service.accounts.people import People
from index_service.db import Clock, Database
from index_service.images import facts, jobs, keeping
from index_service.images.facts import Facts
from index_service.images.jobs import Taken
from index_service.registry_client import RegistryClient
from index_service.repositories import catalogue, pulls
from index_service.repositories.catalogue import Pusher
from index_service.repositories.endpoints import Endpoints
from index_service.repositories.models import Repository
from index_service.repositories.policy import RepositoryNotFound
from index_service.repositories.pulls import Pulls
from index_service.search import documents
from index_service.tokens.passes import Tokens

MAX_READS = 8
"""So often images are asked for that a registry does not have; then they are left, until the next push."""

logger = logging.getLogger(__name__)

GoOn = Callable[[], None]
"""Called between two questions of a long piece of work; what it raises ends the work there."""


class Interrupted(Exception):
    """This process ends, or the job went to another."""


class ImagesMissing(NotFound):
    """The registry lacks images that a repository lists."""

    def __init__(self, count: int) -> None:
        super().__init__(f"The registry lacks {count} of the listed images")


@dataclass(frozen=True, slots=True)
class Renewed:
    """What reading a repository anew found: how many tags and images, and how many images the registry lacks."""

    tags: int
    images: int
    missing: int


class OldNames:
    """What a registry still has under the names that a repository bore before; `details` are those of its move."""

    def __init__(self, database: Database, tokens: Tokens, registries: RegistryClient, clock: Clock) -> None:
        self._database = database
        self._tokens = tokens
        self._registries = registries
        self._clock = clock

    def leave_pending(self, endpoint: str, repository: Repository) -> None:
        """Now, for a repository that is to be deleted and its move with it. Raises as the registry's client does."""
        with self._database.reading() as session:
            details = jobs.asked(session, jobs.MOVE, repository.id)
        self.leave_all(endpoint, details, repository)

    def leave_all(self, endpoint: str, details: Mapping[str, list[str]], repository: Repository) -> None:
        for old in details.get("from", []):
            self._leave(endpoint, RepositoryName.parse(old), repository)

    def _leave(self, endpoint: str, old: RepositoryName, repository: Repository) -> None:
        """Have the registry forget an old name, or what of it does not belong to who bears the name now."""
        with self._database.reading() as session:
            holder = catalogue.find(session, old)
        if holder is None:
            token = self._own(old)
            self._forget(partial(self._registries.delete_repository, endpoint, token, old))
        elif holder.id != repository.id:
            self._forget_tags(endpoint, old)

    def _forget_tags(self, endpoint: str, name: RepositoryName) -> None:
        """What is not its own. A push announces its tags before it sets them, so one under way loses none."""
        token = self._own(name)
        try:
            told = self._registries.tags(endpoint, token, name)
        except NotFound:
            return
        for tag in sorted(told):
            if tag not in self._kept(name):
                self._forget(partial(self._registries.delete_tag, endpoint, token, name, tag))

    def _kept(self, name: RepositoryName) -> set[Tag]:
        with self._database.reading() as session:
            holder = catalogue.find(session, name)
            return set() if holder is None else set(catalogue.tags(session, holder.id, announced=True))

    def _forget(self, delete: Callable[[], None]) -> None:
        """What is gone already need not be deleted."""
        try:
            delete()
        except NotFound:
            logger.debug("the registry had forgotten it before")

    def _own(self, name: RepositoryName) -> Token:
        with self._database.writing() as session:
            return self._tokens.issue_own(session, name, Access.DELETE, self._clock())


class Work:
    """Does what was asked for. `bell` is rung when there is something to do at once; `old_names` is for who deletes."""

    def __init__(
        self,
        database: Database,
        people: People,
        tokens: Tokens,
        endpoints: Endpoints,
        registries: RegistryClient,
        counted: Pulls,
        clock: Clock,
    ) -> None:
        self.bell = Event()
        self._database = database
        self._people = people
        self._tokens = tokens
        self._endpoints = endpoints
        self._registries = registries
        self._pulls = counted
        self.old_names = OldNames(database, tokens, registries, clock)
        self._clock = clock

    def write_pulls(self) -> None:
        """Bring the pulls that this process counted into the database. Raises Unavailable, and has lost none."""
        counted = self._pulls.taken()
        if not counted:
            return
        try:
            with self._database.writing() as session:
                pulls.record(session, counted)
        except BaseException:
            self._pulls.put_back(counted)
            raise

    def do_next(self, stopping: Event | None = None) -> bool:
        """Do the job that is most due; returns whether there was one. Raises Unavailable when the database is."""
        with self._database.reading() as session:
            if not jobs.is_any_due(session, self._clock()):
                return False
        with self._database.writing() as session:
            taken = jobs.take(session, self._clock())
        if taken is not None:
            self._do(Stint(self._database, self._clock, taken, stopping or Event()))
        return taken is not None

    def renew(self, name: RepositoryName, owner: str | None = None) -> Renewed:
        """Read tags and facts of a repository anew from its registry, adding and setting what it tells.

        A repository that the index does not know is taken over for `owner`, an account's name; without one it is
        refused. Raises NotFound, Conflict, Unavailable.
        """
        endpoint = self._endpoint_of(name, owner)
        tags = self._registries.tags(endpoint, self._own(name, Access.READ), name)
        repository = self._listed_as_told(name, owner, tags)
        images, missing = self._read_images(repository, everything=True, go_on=lambda: None)
        return Renewed(len(tags), images, missing)

    def repositories(self) -> list[RepositoryName]:
        """All the index knows, by name."""
        with self._database.reading() as session:
            return catalogue.names(session)

    def _do(self, stint: Stint) -> None:
        taken = stint.taken
        try:
            repository = self._repository(taken.repository_id)
            {jobs.READ: self._read, jobs.MOVE: self._move}[taken.kind](repository, stint)
            stint.end()
        except Interrupted:
            stint.put_back()
        except ImagesMissing as missing:
            if taken.attempts >= MAX_READS:
                logger.warning("%s %s is given up: %s", taken.kind, taken.repository_id, missing.message)
                stint.end()
            else:
                stint.fail(missing.message)
        except Failure as failure:
            logger.info("%s of repository %s: %s", taken.kind, taken.repository_id, failure.message)
            stint.fail(failure.message)
        except Exception as error:
            # Or the job would be due again at once, and keep all others waiting for ever.
            logger.exception("%s of repository %s failed", taken.kind, taken.repository_id)
            stint.fail(f"{type(error).__name__}: the log says more")

    def _read(self, repository: Repository, stint: Stint) -> None:
        """The facts of listed images that are not known yet."""
        _, missing = self._read_images(repository, everything=False, go_on=stint.go_on)
        if missing:
            raise ImagesMissing(missing)

    def _read_images(self, repository: Repository, *, everything: bool, go_on: GoOn) -> tuple[int, int]:
        """Returns how many images were read, and how many the registry does not have."""
        read = missing = at = 0
        while True:
            with self._database.reading() as session:
                wanted = keeping.unknown(session, repository.id, after=at, everything=everything)
            if not wanted:
                break
            found = self._ask_all(repository, [id_ for _, id_ in wanted], go_on)
            with self._database.writing() as session:
                keeping.record(session, found, self._clock())
            read, missing, at = read + len(found), missing + len(wanted) - len(found), wanted[-1][0]
        with self._database.writing() as session:
            keeping.sum_layers(session, [repository.id])
        return read, missing

    def _ask_all(self, repository: Repository, ids: list[str], go_on: GoOn) -> list[Facts]:
        token, endpoint = self._own(repository.full_name, Access.READ), self._endpoints.announced(repository.endpoint)
        found = []
        for id_ in ids:
            go_on()
            fact = self._ask(endpoint, token, ImageId(id_))
            if fact is not None:
                found.append(fact)
        return found

    def _ask(self, endpoint: str, token: Token, image: ImageId) -> Facts | None:
        try:
            described = self._registries.describe(endpoint, token, image)
        except NotFound:
            return None
        return facts.read(image, described.json, described.size)

    def _move(self, repository: Repository, stint: Stint) -> None:
        """The repository has another name: give the registry its tags under this one, and take away the old."""
        endpoint = self._endpoints.announced(repository.endpoint)
        with self._database.reading() as session:
            tags = catalogue.tags(session, repository.id)
        token = self._own(repository.full_name, Access.WRITE, repository.id)
        for tag, image in tags.items():
            stint.go_on()
            try:
                self._move_tag(endpoint, token, repository, tag, image)
            except NotFound as refusal:
                # It never had the image, or takes no such name any more: that will not mend, and the others can move.
                logger.warning("%s:%s is not moved to %s: %s", repository.full_name, tag, endpoint, refusal.message)
        self.old_names.leave_all(endpoint, stint.taken.details, repository)

    def _move_tag(self, endpoint: str, token: Token, repository: Repository, tag: Tag, image: ImageId) -> None:
        """Unless a push was faster: it has set the tag under the new name, or somebody has deleted it."""
        if self._pointed_at(repository, tag) != image:
            return
        self._registries.set_tag(endpoint, token, repository.full_name, tag, image)
        newer = self._pointed_at(repository, tag)
        if newer not in (None, image):
            # A push came in between, and may have been overwritten.
            self._registries.set_tag(endpoint, token, repository.full_name, tag, newer)

    def _pointed_at(self, repository: Repository, tag: Tag) -> ImageId | None:
        with self._database.reading() as session:
            return catalogue.tags(session, repository.id).get(tag)

    def _repository(self, repository_id: int) -> Repository:
        with self._database.reading() as session:
            found = session.get(Repository, repository_id)
        if found is None:
            raise RepositoryNotFound
        return found

    def _own(self, name: RepositoryName, access: Access, repository_id: int | None = None) -> Token:
        with self._database.writing() as session:
            return self._tokens.issue_own(session, name, access, self._clock(), repository_id=repository_id)

    def _endpoint_of(self, name: RepositoryName, owner: str | None) -> str:
        with self._database.reading() as session:
            found = catalogue.find(session, name)
        if found is None and owner is None:
            raise NotFound(f"the index knows no repository {name}")
        return self._endpoints.choose(name) if found is None else self._endpoints.announced(found.endpoint)

    def _listed_as_told(self, name: RepositoryName, owner: str | None, tags: dict[Tag, ImageId]) -> Repository:
        """List the tags' images, then all that they are based on: a registry tells an ancestry of listed ones only."""
        repository = self._with_tags(name, owner, tags)
        token, endpoint = self._own(name, Access.READ), self._endpoints.announced(repository.endpoint)
        for image in sorted(set(tags.values())):
            try:
                ancestry = self._registries.ancestry(endpoint, token, image)
            except NotFound:
                continue
            self._record_images(repository.id, name, ancestry[::-1])
        return repository

    def _with_tags(self, name: RepositoryName, owner: str | None, tags: dict[Tag, ImageId]) -> Repository:
        with self._database.writing() as session:
            if catalogue.find(session, name) is None and owner is not None:
                self._allocate(session, name, owner)
            repository = catalogue.hold(session, name)
            if repository is None:
                raise RepositoryNotFound
            pushed_at = repository.pushed_at
            catalogue.record_images(session, repository, dict.fromkeys(tags.values()), self._clock())
            for tag, image in tags.items():
                catalogue.set_tag(session, repository, tag, image, Pusher(None), self._clock())
            repository.pushed_at = pushed_at
            documents.refresh(session, repository.id)
            return repository

    def _allocate(self, session: Session, name: RepositoryName, owner: str) -> None:
        actor = self._people.require(owner)
        if not catalogue.namespace_exists(session, name.namespace):
            raise Conflict(f"nobody is named {name.namespace}: make the account or organisation first")
        if name.is_library and not actor.is_admin:
            raise Forbidden(f"{owner} is no administrator and cannot have {name}")
        catalogue.allocate(session, name, actor.id, self._endpoints.choose(name), self._clock())

    def _record_images(self, repository_id: int, name: RepositoryName, ids: list[ImageId]) -> None:
        with self._database.writing() as session:
            repository = catalogue.hold(session, name)
            if repository is not None and repository.id == repository_id:
                catalogue.record_images(session, repository, dict.fromkeys(ids), self._clock())


class Stint:
    """One taken job in this process's hands."""

    def __init__(self, database: Database, clock: Clock, taken: Taken, stopping: Event) -> None:
        self.taken = taken
        self._database = database
        self._clock = clock
        self._stopping = stopping

    def go_on(self) -> None:
        """Keep the job for oneself. Raises Interrupted when this process is to end or another has it."""
        if self._stopping.is_set():
            raise Interrupted
        moment = self._clock()
        if self.taken.until - moment > jobs.TAKEN_FOR / 2:
            return
        with self._database.writing() as session:
            kept = jobs.keep(session, self.taken, moment)
        if kept is None:
            raise Interrupted
        self.taken = kept

    def end(self) -> None:
        with self._database.writing() as session:
            jobs.done(session, self.taken)

    def fail(self, reason: str) -> None:
        with self._database.writing() as session:
            jobs.failed(session, self.taken, reason, self._clock())

    def put_back(self) -> None:
        with self._database.writing() as session:
            jobs.put_back(session, self.taken)
