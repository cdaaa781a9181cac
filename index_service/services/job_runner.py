"""The job runner: leases due jobs from the queue, one at a time, and runs them in worker processes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from threading import Event

from common.errors import Failure, NotFound
from common.names import ImageId, Tag
from common.tokens import Access, Token
from index_service import leasing
from index_service.database import Database
from index_service.db import Clock
from index_service.images import jobs, translations
from index_service.images.jobs import Lease
from index_service.metrics import JOBS_DONE
from index_service.registry_client import RegistryClient
from index_service.repositories import catalogue
from index_service.repositories.endpoints import Endpoints
from index_service.repositories.models import Repository
from index_service.repositories.policy import RepositoryNotFound
from index_service.services.former_names import FormerNames
from index_service.services.metadata_reader import MetadataReader
from index_service.services.registry_tokens import RegistryTokens
from index_service.services.tag_comparison import TagComparison, TagsUnsettled
from index_service.services.translation_reader import TranslationReader

MAX_READS = 8
"""The attempts to read images that a registry lacks; then they wait for the next push."""

logger = logging.getLogger(__name__)


class Interrupted(Exception):
    """This process ends, or another one leased the job."""


class TurnOver(Exception):
    """The job has got on, and others come first now."""


class ImagesMissing(NotFound):
    """The registry lacks images that its tags reach."""

    def __init__(self, count: int) -> None:
        super().__init__(f"The registry lacks {count} of the images that its tags reach")


class JobRunner:
    """Runs queued jobs. `wake_up` is set when a job should run at once."""

    def __init__(
        self,
        database: Database,
        tokens: RegistryTokens,
        endpoints: Endpoints,
        registries: RegistryClient,
        comparison: TagComparison,
        facts: MetadataReader,
        translation_reader: TranslationReader,
        former_names: FormerNames,
        clock: Clock,
    ) -> None:
        self.wake_up = Event()
        self._database = database
        self._tokens = tokens
        self._endpoints = endpoints
        self._registries = registries
        self._comparison = comparison
        self._facts = facts
        self._translation_reader = translation_reader
        self._former_names = former_names
        self._clock = clock

    def do_next(self, stopping: Event | None = None) -> bool:
        """Run the job that has been due longest; returns whether one was due. Raises Unavailable if the database is."""
        with self._database.reading() as session:
            if not jobs.is_any_due(session, self._clock()):
                return False
        with self._database.writing() as session:
            lease = jobs.lease(session, self._clock())
        if lease is not None:
            self._do(LeasedJob(self._database, self._clock, lease, stopping or Event()))
        return lease is not None

    def _do(self, job: LeasedJob) -> None:
        lease = job.lease
        try:
            repository = self._repository(lease.repository_id)
            work = {jobs.READ: self._read, jobs.MOVE: self._move, jobs.TRANSLATE: self._translate}[lease.kind]
            work(repository, job)
            job.complete()
        except Interrupted:
            job.release()
        except TurnOver:
            job.put_back()
        except ImagesMissing as missing:
            if lease.attempts >= MAX_READS:
                logger.warning("%s of repository %s is given up: %s", lease.kind, lease.repository_id, missing.message)
                job.complete("given_up")
            else:
                job.fail(missing.message)
        except Failure as failure:
            logger.info("%s of repository %s: %s", lease.kind, lease.repository_id, failure.message)
            job.fail(failure.message)
        except Exception as error:
            # Otherwise the job would be due again at once, and starve all others.
            logger.exception("%s of repository %s failed", lease.kind, lease.repository_id)
            job.fail(f"{type(error).__name__}: the log says more")

    def _read(self, repository: Repository, job: LeasedJob) -> None:
        """Read what the registry's tags reach, as far as it is not known."""
        found = self._comparison.run(repository)
        _, missing = self._facts.read(repository, found.tags.values(), everything=False, heartbeat=job.heartbeat)
        self._ask_for_translations(repository)
        if missing:
            raise ImagesMissing(missing)
        if not found.is_settled:
            raise TagsUnsettled

    def _ask_for_translations(self, repository: Repository) -> None:
        with self._database.writing() as session:
            translations.forget_untagged(session, repository.id)
            if translations.wanted(session, repository.id, 1):
                jobs.enqueue(session, jobs.TRANSLATE, repository.id, {}, self._clock())

    def _translate(self, repository: Repository, job: LeasedJob) -> None:
        """Read what tagged images are by `/v2/`, for so long that other jobs have their turn."""
        if not self._translation_reader.read(repository, job.heartbeat):
            raise TurnOver

    def _move(self, repository: Repository, job: LeasedJob) -> None:
        """The repository was renamed: set its tags at the registry under the new name, and remove the old one."""
        endpoint = self._endpoints.announced(repository.endpoint)
        with self._database.reading() as session:
            tags = catalogue.tags(session, repository.id)
        tokens = [self._tokens.issue(repository.full_name, Access.WRITE, repository.id)]
        tokens += self._former_names.tokens(job.lease.details)
        for tag, image in tags.items():
            job.heartbeat()
            try:
                self._move_tag(endpoint, tokens, repository, tag, image)
            except NotFound as refusal:
                # The registry never had the image, or refuses the name by now: a retry would not help, and the others
                # can move.
                logger.warning("%s:%s is not moved to %s: %s", repository.full_name, tag, endpoint, refusal.message)
        self._former_names.leave_all(endpoint, job.lease.details, repository)

    def _move_tag(
        self, endpoint: str, tokens: Sequence[Token], repository: Repository, tag: Tag, image: ImageId
    ) -> None:
        """Set a tag under the new name, unless a push has set it meanwhile or somebody has deleted it."""
        if self._pointed_at(repository, tag) != image:
            return
        self._registries.set_tag(endpoint, tokens, repository.full_name, tag, image)
        newer = self._pointed_at(repository, tag)
        if newer not in (None, image):
            # A concurrent push may have been overwritten.
            self._registries.set_tag(endpoint, tokens, repository.full_name, tag, newer)

    def _pointed_at(self, repository: Repository, tag: Tag) -> ImageId | None:
        with self._database.reading() as session:
            return catalogue.tags(session, repository.id).get(tag)

    def _repository(self, repository_id: int) -> Repository:
        with self._database.reading() as session:
            found = session.get(Repository, repository_id)
        if found is None:
            raise RepositoryNotFound
        return found


class LeasedJob:
    """A job leased by this process."""

    def __init__(self, database: Database, clock: Clock, lease: Lease, stopping: Event) -> None:
        self.lease = lease
        self._database = database
        self._clock = clock
        self._stopping = stopping

    def heartbeat(self) -> None:
        """Heartbeat: renew the lease. Raises Interrupted if this process ends or has lost the lease."""
        if self._stopping.is_set():
            raise Interrupted
        now = self._clock()
        if self.lease.until - now > leasing.LEASE / 2:
            return
        with self._database.writing() as session:
            kept = jobs.renew(session, self.lease, now)
        if kept is None:
            raise Interrupted
        self.lease = kept

    def complete(self, outcome: str = "completed") -> None:
        with self._database.writing() as session:
            jobs.complete(session, self.lease)
        JOBS_DONE.add(self.lease.kind, outcome)

    def fail(self, reason: str) -> None:
        with self._database.writing() as session:
            jobs.fail(session, self.lease, reason, self._clock())
        JOBS_DONE.add(self.lease.kind, "failed")

    def put_back(self) -> None:
        with self._database.writing() as session:
            jobs.put_back(session, self.lease, self._clock())

    def release(self) -> None:
        with self._database.writing() as session:
            jobs.release(session, self.lease)
