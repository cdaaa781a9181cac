"""An application for the index's worker whose every answer but a ping's takes a while, served as an operator would."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from index_service.background import EXTENSION

SECONDS = 0.2


class Idle:
    """A background thread with nothing to do."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if not environ["PATH_INFO"].endswith("/_ping"):
        time.sleep(SECONDS)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


app = Flask("sleeping", static_folder=None)
app.config.update(REQUEST_SECONDS=20.0, TRUSTED_PROXIES=0)
app.extensions[EXTENSION] = Idle()
app.wsgi_app = answer  # type: ignore[method-assign]
