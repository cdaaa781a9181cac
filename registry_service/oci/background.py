"""Translations in the background: whoever asks waits for a moment, and asks again where that was not enough.

The index asks after each push for what its pages show. It is to wait for no layer of many gigabytes, and what is under
way goes on without it. A process asked twice for one image translates it once.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait

from common.errors import Unavailable
from common.names import ImageId
from registry_service.oci.translation import Translated, Translations
from registry_service.storage import paths

WAIT_SECONDS = 4.0
"""How long one request waits: less than the index has patience for."""

AT_ONCE = 8
"""Images whose translation is under way or waits for its turn."""


class BackgroundTranslations:
    """Translations of one store that outlive the requests for them."""

    def __init__(self, translations: Translations, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._translations = translations
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[Translated]] = {}

    def of(self, image: ImageId) -> Translated | None:
        """The translation, or None where it takes longer. Raises as `Translations.of` does, and Unavailable."""
        future = self._future(image)
        wait([future], self._wait_seconds)
        return future.result() if future.done() else None

    def _future(self, image: ImageId) -> Future[Translated]:
        path = paths.image(image)
        with self._lock:
            future = self._under_way.get(path)
            if future is None:
                if len(self._under_way) >= AT_ONCE:
                    raise Unavailable("Too many images are being translated, retry later")
                future = self._under_way[path] = Future()
                threading.Thread(target=self._translate, args=(image, path, future), daemon=True).start()
        return future

    def _translate(self, image: ImageId, path: str, future: Future[Translated]) -> None:
        try:
            translated = self._translations.of(image)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            self._forget(path)
            future.set_exception(error)
        else:
            self._forget(path)
            future.set_result(translated)

    def _forget(self, path: str) -> None:
        with self._lock:
            del self._under_way[path]
