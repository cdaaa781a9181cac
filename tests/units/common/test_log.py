"""Logs: a request id on every line, no secret in any."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import log

BASIC = base64.b64encode(b"alice:harbour-master-7").decode()


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        (f"Authorization: Basic {BASIC}", BASIC),
        (f"authorization: basic {BASIC}", BASIC),
        ('Token signature=WyJ4IiwxXQ.abc_-,repository="a/b",access=read', "WyJ4IiwxXQ.abc_-"),
        ('Token Token Signature=s3cr3t, repository="a/b"', "s3cr3t"),
        ("GET /layer?X-Amz-Signature=0123abcd&x=1", "0123abcd"),
        ("GET /layer?x=1&Signature=0123abcd%3D", "0123abcd"),
        ("GET /v1/c/o?temp_url_sig=0123abcd&temp_url_expires=9", "0123abcd"),
        ("GET /blob?sv=1&sig=0123abcd", "0123abcd"),
        ('{"username":"alice","password":"harbour-master-7","email":""}', "harbour-master-7"),
        ("{'password': 'harbour-master-7'}", "harbour-master-7"),
        ("password=harbour-master-7, name=alice", "harbour-master-7"),
        ("postgresql://index:harbour-master-7@db/index", "harbour-master-7"),
        ("http://alice:harbour-master-7@127.0.0.1:5000/v1/", "harbour-master-7"),
    ],
)
def test_secrets_are_struck_out(line: str, secret: str) -> None:
    redacted = log.redact(line)
    assert secret not in redacted
    assert "…" in redacted


@pytest.mark.parametrize(
    "line",
    ["GET /v1/repositories/acme/app/images", "listening on http://127.0.0.1:5000", "basically: fine", "a signature"],
)
def test_other_lines_stay_readable(line: str) -> None:
    assert log.redact(line) == line


@given(st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", min_size=12, max_size=80))
def test_no_signature_comes_through(signature: str) -> None:
    assert signature not in log.redact(f'Token signature={signature},repository="acme/app",access=read')


@pytest.fixture(autouse=True)
def _logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_bears_service_and_request_id_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("registry", "info")
    mark = log.request_id.set("3f9ac1d2")
    logging.getLogger("anywhere").warning("sent %s", f"Basic {BASIC}")
    logging.getLogger("anywhere").debug("too quiet")
    log.request_id.reset(mark)
    line = capsys.readouterr().err
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:,]+ WARNING registry \[3f9ac1d2\] sent Basic …\n", line)


def test_a_traceback_gives_no_secret_away(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("index", "info")
    try:
        int(f"Basic {BASIC}")
    except ValueError:
        logging.getLogger("anywhere").exception("failed")
    written = capsys.readouterr().err
    assert "Traceback" in written
    assert BASIC not in written
