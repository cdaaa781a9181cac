"""A WSGI application for the worker's tests: it sends one file, with the length and offset the query asks for.

Asked for it `at_once`, it hands the server the bytes in one piece.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs


class App:
    config = {"IDLE_SECONDS": float(os.environ.get("IDLE_SECONDS", "30"))}

    def __call__(self, environ, start_response):
        asked = parse_qs(environ["QUERY_STRING"])
        file = Path(os.environ["SENT_FILE"]).open("rb", buffering=0)
        file.seek(int(asked["offset"][0]))
        start_response("200 OK", [("Content-Length", asked["length"][0])])
        if "at_once" in asked:
            with file:
                return [file.read(int(asked["length"][0]))]
        return environ["wsgi.file_wrapper"](file)


app = App()
