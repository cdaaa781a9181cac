"""Somebody with a browser and no script, who keeps cookies and fills in the forms of pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine, event
from werkzeug.test import TestResponse

from tests.units.index_service.site import Site


class Page:
    """What a test wants of a page: its text, links, forms by address, and ids. It is parsed when first asked."""

    def __init__(self, answer: TestResponse) -> None:
        self._answer = answer

    @cached_property
    def _parsed(self) -> _Parser:
        return _Parser(self._answer.get_data(as_text=True))

    @property
    def forms(self) -> dict[str, dict[str, str]]:
        return self._parsed.forms

    @property
    def links(self) -> dict[str, str]:
        return self._parsed.links

    @property
    def attributes(self) -> list[tuple[str, dict[str, str]]]:
        return self._parsed.attributes

    @property
    def text(self) -> str:
        return self._parsed.text

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        """The attributes of every element of a kind that has these."""
        return [given for name, given in self.attributes if name == tag and wanted.items() <= given.items()]


class _Parser(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: dict[str, dict[str, str]] = {}
        self.links: dict[str, str] = {}
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self._pieces: list[str] = []
        self._form: dict[str, str] | None = None
        self._link: str | None = None
        self._goes_on = False
        self.feed(html)
        self.text = " ".join(" ".join(self._pieces).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.attributes.append((tag, given))
        if tag == "form":
            self._form = self.forms.setdefault(urlsplit(given["action"]).path, {})
        elif tag in ("input", "textarea", "select") and self._form is not None and "name" in given:
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                self._form[given["name"]] = given.get("value", "")
        elif tag == "a":
            self._link = given.get("href")
        elif tag == "wbr":
            self._goes_on = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None

    def handle_data(self, data: str) -> None:
        if self._goes_on:
            self._pieces[-1] += data
        else:
            self._pieces.append(data)
        self._goes_on = False
        if self._link and data.strip():
            self.links[data.strip()] = self._link
            self._link = None


class Reader:
    """A browser at one index."""

    def __init__(self, site: Site, name: str | None = None, **environ: str) -> None:
        self.site = site
        self.client = site.app.test_client()
        self.environ = {"REMOTE_ADDR": "192.0.2.1", **environ}
        self.answer: TestResponse
        if name is not None:
            self._sign_in(name, f"password-{name}")
            assert self.answer.status_code == 303, name

    def open(self, path: str, **headers: str) -> Page:
        """Go to a page, wherever it leads; the answer itself is in `answer`."""
        self.get(path, **headers)
        return self._follow()

    def get(self, path: str, **headers: str) -> TestResponse:
        self.answer = self.client.get(path, headers=headers, environ_overrides=self.environ)
        return self.answer

    def api(self, path: str) -> Any:
        """What the API tells the same reader."""
        return self.get(f"/api/v1{path}").get_json()

    def alternate(self, path: str) -> str | None:
        """The resource of the API that a page names as its JSON."""
        links = self.open(path).all("link", rel="alternate", type="application/json")
        return links[0]["href"] if links else None

    def send(self, action: str, page: str | None = None, **fields: Any) -> Page:
        """Fill in the form of `page` (the same address, where none is given) that goes to `action`, and send it."""
        self.post(action, **{**self.open(page or action).forms[action], **fields})
        return self._follow()

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: Any) -> TestResponse:
        """A form as it stands, whoever made it."""
        self.answer = self.client.post(path, data=fields, headers=headers or {}, environ_overrides=self.environ)
        return self.answer

    def sign_in(self, name: str, password: str | None = None) -> Page:
        """By the form, on to the page that it leads to."""
        self._sign_in(name, password or f"password-{name}")
        return self._follow()

    def _sign_in(self, name: str, password: str) -> None:
        self.post("/sign-in", **{**self.open("/sign-in").forms["/sign-in"], "name": name, "password": password})

    def cookie(self, kind: str) -> str | None:
        found = self.client.get_cookie(f"wharfinger-{kind}") or self.client.get_cookie(f"__Host-wharfinger-{kind}")
        return None if found is None else found.value

    def _follow(self) -> Page:
        while self.answer.status_code == 303:
            self.get(self.answer.location)
        return Page(self.answer)


@contextmanager
def counted_queries(engine: Engine) -> Iterator[list[str]]:
    """The statements that reach the database meanwhile."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)
