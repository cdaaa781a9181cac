"""The pull and content discovery rows of the OCI distribution specification, for any registry at any URL.

    python -m tests.conformance.distribution --url URL --name REPOSITORY --tag TAG [--user NAME --password WORD]

pulls the tag as a client would, prints each row with what came back, and fails when one does. The registry may demand
tokens, and may redirect.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.clients.wire import Answer, Target, WireError, call
from tests.conformance.outcome import told
from tests.servers.services import Account

ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in ("oci.image.manifest.v1", "oci.image.index.v1", "docker.distribution.manifest.v2")
)
CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED",
    "UNSUPPORTED", "TOOMANYREQUESTS",
}  # fmt: skip
"""Those of the specification."""

ABSENT = f"sha256:{'0123456789abcdef' * 4}"
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass
class Session:
    """A client at one registry: it gets the tokens that are demanded, and follows redirects."""

    target: Target
    account: Account | None = None
    _tokens: dict[str, str] = field(default_factory=dict)

    def ask(self, line: str, **headers: str) -> Answer:
        """The answer to a request, from wherever it is given."""
        sent = {"Accept": ACCEPT, **headers}
        answer = call(self.target, line, sent | self._authorization(line))
        if answer.status == 401:
            self._get_token(line, answer.header("WWW-Authenticate") or "")
            answer = call(self.target, line, sent | self._authorization(line))
        while answer.status in (302, 307):
            parts = urlsplit(answer.header("Location") or "")
            there = Target.parse(f"{parts.scheme}://{parts.netloc}", self.target.authority)
            answer = call(there, f"{line.split(maxsplit=1)[0]} {parts.path}?{parts.query}", sent)
        return answer

    def _authorization(self, line: str) -> dict[str, str]:
        token = self._tokens.get(_repository(line))
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _get_token(self, line: str, challenge: str) -> None:
        said = dict(_CHALLENGE.findall(challenge))
        realm = urlsplit(said["realm"])
        known = {}
        if self.account is not None:
            pair = f"{self.account.name}:{self.account.password}"
            known = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        there = Target.parse(f"{realm.scheme}://{realm.netloc}", self.target.authority)
        query = f"service={said.get('service', '')}&scope={said.get('scope', '')}"
        answer = call(there, f"GET {realm.path}?{query}", known)
        self._tokens[_repository(line)] = answer.json()["token"]


def _repository(line: str) -> str:
    match = re.match(r"\S+ /v2/(.+)/(manifests|blobs|tags|referrers)/", line)
    return match[1] if match else ""


@dataclass(frozen=True)
class Outcome:
    """A row and what was wrong with the answer, if anything was."""

    says: str
    got: str
    complaint: str = ""

    def __str__(self) -> str:
        return told(self.says, self.got, self.complaint)


@dataclass
class Run:
    """One pass through the rows, about one tag of one repository."""

    session: Session
    name: str
    tag: str

    def outcomes(self) -> Iterator[Outcome]:
        manifest = self.session.ask(f"GET /v2/{self.name}/manifests/{self.tag}")
        yield self._judge("the base answers", "GET /v2/", 200)
        yield self._outcome("a manifest by its tag", manifest, _is_manifest)
        if not _is_manifest(manifest):
            return
        yield from self._manifests(manifest)
        for described in (manifest.json()["config"], *manifest.json()["layers"]):
            yield from self._blob(described["digest"], described["size"])
        yield from self._absences()
        yield from self._discovery(_digest(manifest.body))

    def _manifests(self, manifest: Answer) -> Iterator[Outcome]:
        path, digest = f"/v2/{self.name}/manifests", _digest(manifest.body)
        for reference in (self.tag, digest):
            yield self._judge(
                f"HEAD of a manifest by {reference:.12}", f"HEAD {path}/{reference}", 200,
                lambda answer: answer.header("Content-Length") == str(len(manifest.body))
                and answer.header("Docker-Content-Digest") in (digest, None) and not answer.body,
            )  # fmt: skip
        yield self._judge(
            "a manifest by its digest", f"GET {path}/{digest}", 200,
            lambda answer: answer.body == manifest.body
            and answer.header("Content-Type") == manifest.header("Content-Type"),
        )  # fmt: skip

    def _blob(self, digest: str, size: int) -> Iterator[Outcome]:
        path = f"/v2/{self.name}/blobs/{digest}"
        yield self._judge(
            "a blob", f"GET {path}", 200,
            lambda answer: _digest(answer.body) == digest and len(answer.body) == size
            and answer.header("Docker-Content-Digest") in (digest, None)
            and answer.header("Content-Encoding") is None,
        )  # fmt: skip
        yield self._judge(
            "HEAD of a blob", f"HEAD {path}", 200, lambda answer: answer.header("Content-Length") == str(size)
        )
        yield self._judge(
            "a range of a blob", f"GET {path}", (200, 206),
            lambda answer: len(answer.body) == (size - 1 if answer.status == 206 else size), Range="bytes=1-",
        )  # fmt: skip

    def _absences(self) -> Iterator[Outcome]:
        for path in (f"manifests/{ABSENT}", "manifests/no-such-tag", f"blobs/{ABSENT}"):
            yield self._judge(f"absent: {path:.24}", f"GET /v2/{self.name}/{path}", 404, _is_failure)
            yield self._judge(f"HEAD of the absent {path:.20}", f"HEAD /v2/{self.name}/{path}", 404)

    def _discovery(self, digest: str) -> Iterator[Outcome]:
        path = f"/v2/{self.name}/tags/list"
        everything = self.session.ask(f"GET {path}")
        tags = everything.json().get("tags") or [] if everything.status == 200 else []
        in_order = tags == sorted(tags)
        yield self._outcome("all tags, in order", everything, lambda _: self.tag in tags and in_order)
        for size in range(min(len(tags), 3) + 1):
            yield self._judge(
                f"{size} tags", f"GET {path}?n={size}", 200,
                lambda answer, size=size: (answer.json()["tags"] or []) == tags[:size],
            )  # fmt: skip
        if len(tags) > 1:
            yield self._judge(
                "tags behind one", f"GET {path}?n=1&last={tags[0]}", 200,
                lambda answer: answer.json()["tags"] == tags[1:2],
            )  # fmt: skip
        # Since 1.1 of the specification; older registries answer 404.
        yield self._judge(
            "referrers", f"GET /v2/{self.name}/referrers/{digest}", (200, 404),
            lambda answer: answer.status == 404 or isinstance(answer.json()["manifests"], list),
        )  # fmt: skip

    def _judge(
        self,
        says: str,
        line: str,
        status: int | tuple[int, ...],
        holds: Callable[[Answer], bool] = lambda _: True,
        **headers: str,
    ) -> Outcome:
        answer = self.session.ask(line, **headers)
        wanted = status if isinstance(status, tuple) else (status,)
        if answer.status not in wanted:
            return Outcome(says, str(answer), f"wants status {' or '.join(map(str, wanted))}")
        return self._outcome(says, answer, holds)

    def _outcome(self, says: str, answer: Answer, holds: Callable[[Answer], bool]) -> Outcome:
        try:
            is_right = holds(answer)
        except (ValueError, KeyError, TypeError, WireError):
            is_right = False
        return Outcome(says, f"{answer} {dict(answer.headers)}", "" if is_right else "wants another answer")


def _is_manifest(answer: Answer) -> bool:
    digest = answer.header("Docker-Content-Digest")
    return (
        answer.status == 200
        and digest in (_digest(answer.body), None)
        and answer.header("Content-Type") == answer.json()["mediaType"]
    )


def _is_failure(answer: Answer) -> bool:
    return {error["code"] for error in answer.json()["errors"]} <= CODES


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def main(arguments: list[str] | None = None) -> int:
    """Print the rows; 0 when every one holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.distribution", description="Pulls by /v2/.")
    parser.add_argument("--url", required=True, help="URL of a registry")
    parser.add_argument("--name", required=True, help="a repository there")
    parser.add_argument("--tag", default="latest", help="a tag of an image for one platform")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    given = parser.parse_args(arguments)
    account = Account(given.user, given.password) if given.user else None
    outcomes = list(Run(Session(Target.parse(given.url), account), given.name, given.tag).outcomes())
    for outcome in outcomes:
        print(outcome)
    failed = sum(1 for outcome in outcomes if outcome.complaint)
    print(f"{len(outcomes)} rows, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
