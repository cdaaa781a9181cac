"""The reader of translations: what tagged images are by `/v2/`, as their registries say.

A registry translates an image when it is first asked, which takes a pass over its layers. So it is asked by a job, in
no push and in no page, for one image after the other; one that takes long is asked for again later.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from common.errors import NotFound, Unavailable
from common.names import ImageId
from common.tokens import Token
from index_service.database import Database
from index_service.db import Clock
from index_service.images import image_metadata, translations
from index_service.registry_client import RegistryClient, StillTranslating
from index_service.repositories.models import Repository
from index_service.services.registry_tokens import RegistryTokens

TURN_SECONDS = 10.0
"""How long one repository keeps a worker from other jobs."""

BATCH_SIZE = 100

Heartbeat = Callable[[], None]


class TranslationReader:
    """Reads from registries what tagged images are by `/v2/`, and stores it."""

    def __init__(self, database: Database, tokens: RegistryTokens, registries: RegistryClient, clock: Clock) -> None:
        self._database = database
        self._tokens = tokens
        self._registries = registries
        self._clock = clock

    def read(self, repository: Repository, heartbeat: Heartbeat) -> bool:
        """Read what is wanted, for TURN_SECONDS at most; returns whether nothing is left.

        Where nothing can be learnt now, raises why: StillTranslating, or as registries do.
        """
        until, learnt = time.monotonic() + TURN_SECONDS, 0
        failure: Unavailable | None = None
        with self._database.reading() as session:
            wanted = translations.wanted(session, repository.id, BATCH_SIZE)
        endpoint, token = self._tokens.to_read(repository)
        for image in wanted:
            if time.monotonic() > until or isinstance(failure, StillTranslating):
                break
            heartbeat()
            try:
                self._read_one(repository, endpoint, token, image)
                learnt += 1
            except Unavailable as error:
                failure = failure or error
        if failure is not None and not learnt:
            raise failure
        return learnt == len(wanted) < BATCH_SIZE

    def _read_one(self, repository: Repository, endpoint: str, token: Token, image: ImageId) -> None:
        """A registry that has no `/v2/`, or has lost the image, is not asked again before the next push."""
        now = self._clock()
        try:
            found = self._registries.translation(endpoint, token, image)
        except NotFound:
            found = translations.UNKNOWN
        clean = replace(found, problem=image_metadata.clean(found.problem, translations.MAX_PROBLEM))
        with self._database.writing() as session:
            # It may have been deleted meanwhile.
            if session.get(Repository, repository.id, with_for_update=True) is not None:
                translations.record(session, repository.id, {image: clean}, now)
