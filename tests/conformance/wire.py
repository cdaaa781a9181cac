"""The v1 wire contract as one table: request → status, headers, body; for any index and registry at any URL.

    python -m tests.conformance.wire --index URL --registry URL [--user NAME --password WORD] [--ca FILE]

prints the table with what came back, and fails when a row does. Rows run from top to bottom: later ones build on
what earlier ones pushed. A service that calls itself standalone gets the rows for one; library rows run
where the account may push there. In requests `<name>` is filled in from the values of the run, and a body
`@name` is that of an image.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.images import Image, make_image
from tests.clients.wire import Answer, Target, WireError, call
from tests.conformance.outcome import told
from tests.conformance.wire_rows import ROWS, Matcher, Row

_ISSUING = re.compile(r"(GET|PUT|DELETE) /v1/repositories/[^?]+(/|/images|>)")
"""The routes that hand tokens out (protocol §2.3, §2.4, §2.8); a token from any other would replace a daemon's own."""


@dataclass(frozen=True)
class Outcome:
    """A row, the request as sent, and what was wrong with the answer, if anything was."""

    row: Row
    asked: str
    got: str
    complaint: str = ""

    def __str__(self) -> str:
        return told(f"{self.row.rule:5} {self.row.says:64} {self.asked:.110}", self.got, self.complaint)


@dataclass
class Run:
    """One pass through the table, against one set-up."""

    index: Target
    registry: Target
    user: str
    password: str
    values: dict[str, str] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    standalone: bool = False

    def outcomes(self) -> Iterator[Outcome]:
        """Every row that is for this set-up, tried in order."""
        self._prepare()
        for row in ROWS:
            if self._is_for_us(row):
                yield self._try(row)

    def fill(self, text: str) -> str:
        return re.sub(r"<([a-z_]+(?:\.[a-z]+)?)>", lambda match: self.values[match[1]], text)

    def bytes_of(self, name: str) -> bytes:
        image, _, part = name.partition(".")
        return self.images[image].json if part == "json" else self.images[image].layer

    def _prepare(self) -> None:
        ping = call(self.registry, "GET /v1/_ping")
        self.standalone = (ping.header("X-Docker-Registry-Standalone") or "").lower() == "true"
        name, user = f"wire-{secrets.token_hex(4)}", self.user or "wire"
        base = make_image()
        self.images = {"base": base, "top": make_image(base.id), "tarsum": make_image(), "late": make_image(base.id)}
        self.values = {
            "standalone": "[Tt]rue" if self.standalone else "[Ff]alse",
            "user": user,
            "name": name,
            "full": f"{user}/{name}",
            "bare": name,
            "newcomer": f"wire{secrets.token_hex(4)}",
            "basic": _basic(user, self.password),
            "wrong_basic": _basic(user, "wrong-" + secrets.token_hex(4)),
            "delete": f'signature=X,repository="{user}/{name}",access=delete',
        }
        for key, image in self.images.items():
            self.values[key] = image.id
            self.values |= {f"{key}.payload": image.payload, f"{key}.tarsum": image.tarsum}
            self.values[f"{key}.size"] = str(len(image.layer))

    def _is_for_us(self, row: Row) -> bool:
        if row.only == "library":
            return self.standalone or self._may_push_to_library()
        return row.only in ("", "standalone" if self.standalone else "index")

    def _may_push_to_library(self) -> bool:
        if "library" not in self.values:
            headers = {"Authorization": self.values["basic"]}
            answer = call(self.index, self.fill("PUT /v1/repositories/<bare>/"), headers, b"[]")
            self.values["library"] = str(answer.status in (200, 201))
        return self.values["library"] == "True"

    def _try(self, row: Row) -> Outcome:
        line = self.fill(row.ask)
        try:
            answer = self._send(row, line)
        except (OSError, WireError) as failure:
            return Outcome(row, line, repr(failure), "no answer")
        for value, header in row.keep.items():
            self._remember(value, (answer.header(header) or "").removeprefix("Token "))
        return Outcome(row, line, f"{answer} {dict(answer.headers)}", self._complaint(row, answer))

    def _remember(self, value: str, text: str) -> None:
        self.values[value] = text
        if value == "write":
            self.values["tampered"] = re.sub(r"signature=(.)", lambda one: f"signature={_other(one[1])}", text)
        if value == "read":
            self.values["promoted"] = text.replace("access=read", "access=write")

    def _send(self, row: Row, line: str) -> Answer:
        target = self.index if row.at == "index" else self.registry
        headers = {name: self.fill(value) for name, value in row.send.items()}
        body = None if row.body is None else self._body(row.body)
        if row.chunked and body is not None:
            return call(target, line, headers, chunks=[body[:1000], body[1000:]])
        return call(target, line, headers, body)

    def _body(self, body: str) -> bytes:
        return self.bytes_of(body[1:]) if body.startswith("@") else self.fill(body).encode()

    def _complaint(self, row: Row, answer: Answer) -> str:
        """What is wrong: of this row first, then of what holds for every answer."""
        wanted = row.status if isinstance(row.status, tuple) else (row.status,)
        if answer.status not in wanted:
            return f"wants status {' or '.join(map(str, wanted))}"
        for name, pattern in row.headers.items():
            if not self._header_fits(answer.headers_named(name), pattern, row):
                return f"wants header {name}: {pattern}"
        if row.ask.startswith("HEAD ") and answer.body:
            return "wants no body"
        if row.answer is not None and not _fits(row.answer, self, answer):
            return "wants another body"
        return _general_complaint(row, answer)

    def _header_fits(self, values: list[str], pattern: str | None, row: Row) -> bool:
        if pattern is None or len(values) != 1:
            return pattern is None and not values
        filled = re.sub(
            r"<([a-z_]+(?:\.[a-z]+)?)>",
            lambda match: row.access if match[1] == "access" else _pattern_of(match[1], self.values),
            pattern,
        )
        return re.fullmatch(filled, values[0]) is not None


def _fits(matcher: Matcher, run: Run, answer: Answer) -> bool:
    try:
        return matcher(run, answer)
    except (ValueError, KeyError, TypeError, WireError):
        return False


def _pattern_of(name: str, values: dict[str, str]) -> str:
    """The set-up's own patterns stay patterns, anything else is meant letter by letter."""
    return values[name] if name == "standalone" else re.escape(values[name])


def _general_complaint(row: Row, answer: Answer) -> str:
    """What no answer may do: HTML, redirects of writes, tokens on other routes, errors daemons cannot read."""
    content_type = answer.header("Content-Type") or ""
    # A layer's bytes may begin with anything.
    if "html" in content_type or (content_type != "application/octet-stream" and answer.body.lstrip()[:1] == b"<"):
        return "HTML"
    if not answer.complete and answer.status not in (204, 304) and not row.ask.startswith("HEAD "):
        return "the body has no proper end"
    if answer.header("Content-Encoding"):
        return "Content-Encoding"
    if row.ask.startswith(("PUT ", "POST ", "DELETE ")) and answer.status // 100 == 3:
        return "a write is redirected"
    issues = row.at == "index" and _ISSUING.fullmatch(row.ask) is not None
    if answer.header("X-Docker-Token") and not issues:
        return "a token nobody asked for"
    readable = (
        answer.status == 416 or row.ask.startswith("HEAD ") or answer.body == b'"Username or email already exists"'
    )
    if answer.status >= 400 and not readable and not _fits(lambda _, got: bool(got.error()), None, answer):  # type: ignore[arg-type]
        return "an error daemons cannot read: wants a JSON object of strings with the key error"
    return ""


def _other(letter: str) -> str:
    return "A" if letter != "A" else "B"


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 0 when every row holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.wire", description="The v1 wire contract.")
    parser.add_argument("--index", required=True, help="URL of the index, or of a standalone registry")
    parser.add_argument("--registry", required=True, help="URL of the registry")
    parser.add_argument("--user", default="", help="account that may push; without one a new one is signed up")
    parser.add_argument("--password", default="wire-password-1")
    parser.add_argument("--ca", type=Path, help="file of the authority to trust for https")
    given = parser.parse_args(arguments)
    index, registry = Target.parse(given.index, given.ca), Target.parse(given.registry, given.ca)
    user = given.user or _new_account(index, given.password)
    outcomes = list(Run(index, registry, user, given.password).outcomes())
    for outcome in outcomes:
        print(outcome)
    failed = sum(1 for outcome in outcomes if outcome.complaint)
    print(f"{len(outcomes)} rows, {failed} failed")
    return 1 if failed else 0


def _new_account(index: Target, password: str) -> str:
    name = f"wire{secrets.token_hex(4)}"
    account = {"username": name, "password": password, "email": f"{name}@example.com"}
    answer = call(index, "POST /v1/users/", body=json.dumps(account).encode())
    if answer.status != 201:
        raise SystemExit(f"cannot sign {name} up, give --user and --password: {answer}")
    return name


if __name__ == "__main__":
    sys.exit(main())
