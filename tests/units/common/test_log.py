"""Logs: a request id on every line, no secret in any."""

from __future__ import annotations

import base64
import logging
import re
import time
from collections.abc import Iterator

import pytest
from gunicorn.http.errors import InvalidHeader, InvalidHeaderName, InvalidRequestLine
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
        ("GET /reset/WzFd.abc-_ failed", "WzFd.abc-_"),
        ("POST //confirm%2FWzFd.abc-_?next=/ failed", "WzFd.abc-_"),
        ("GET /r/a/b?access_token=0123abcd&page=2", "0123abcd"),
        ("POST /account;csrf=0123abcd failed", "0123abcd"),
        ("GET /v2/a/b/manifests/latest?token=c2lnbmF0dXJl failed", "c2lnbmF0dXJl"),
        ("Location: http://r:5001/v2/a/b/tags/list?n=1&token=c2lnbmF0dXJl", "c2lnbmF0dXJl"),
        ("Authorization: Bearer c2lnbmF0dXJl", "c2lnbmF0dXJl"),
        ("Bearer c2lnbmF0dXJl is not read", "c2lnbmF0dXJl"),
        ("whp_0123abcd is no token", "0123abcd"),
        ("Cookie wharfinger-visitor=v; __Host-wharfinger-session=0123abcd; x=y", "0123abcd"),
        ("__Host-wharfinger-session=0123abcd; Path=/", "0123abcd"),
        ("grant=0123abcd; Path=/v1/", "0123abcd"),
        ("X-CSRF-Token 0123abcd", "0123abcd"),
        ("Invalid request from ip=::1: Invalid HTTP header name: '0123abcd x'", "0123abcd"),
        ("Invalid request from ip=10.0.0.7: Invalid HTTP Header: ' 0123abcd'", "0123abcd"),
        ("Ignored premature client disconnection. No more data after: b'GET /?0123abcd'", "0123abcd"),
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


SECRETS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=20, max_size=60)
NAMES = ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-CSRF-Token", "X-Docker-Token"]
PREFIXES = {
    "Authorization": ["Basic ", "Bearer ", "Token ", "Token signature=", "basic", "", "Bearer: "],
    "Cookie": ["wharfinger-session=", "a=b; __Host-wharfinger-session=", "grant=", "push=p; grant="],
}


@given(
    st.sampled_from(NAMES),
    st.sampled_from([":", ": ", " ", "\t", "=", " : ", "::", "' '", '": "', "\\x0b", ": \\t"]),
    st.data(),
    st.sampled_from([str, str.lower, str.upper]),
    st.sampled_from(["", "Host: x, ", "GET / HTTP/1.1 ", "{'", "b'"]),
    SECRETS,
)
def test_no_header_comes_through_however_malformed(name, separator, data, case, before, secret):
    prefix = data.draw(st.sampled_from(PREFIXES.get(name.rpartition("-")[2], [""])))
    assert secret not in log.redact(f"{before}{case(name)}{separator}{case(prefix)}{secret} and more")


@given(
    st.sampled_from(
        ["/reset/", "//reset//", "/reset%2f", "/RESET/", "/confirm/", "/?token=", "/x?a=b&csrf=", "/x?y;key="]
    ),
    st.sampled_from(["GET {} failed", "Error handling request POST {}", "'{}'", "http://127.0.0.1:5000{}"]),
    SECRETS,
)
def test_no_url_comes_through_with_its_secret(path, line, secret):
    assert secret not in log.redact(line.format(path + secret))


@given(st.text(max_size=200), SECRETS)
def test_of_a_malformed_request_nothing_comes_through(text, secret):
    for error in (InvalidHeader(text + secret), InvalidHeaderName(text + secret), InvalidRequestLine(text + secret)):
        assert secret not in log.redact(f"Invalid request from ip=127.0.0.1: {error}")


@pytest.mark.parametrize(
    "filling", ["token", "?token", "&key", "cookie ", "authorization", "reset/", "password ", "a:", "="]
)
def test_a_long_line_is_read_in_no_time(filling):
    began = time.process_time()
    log.redact(filling * 2000)
    assert time.process_time() - began < 1


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


def test_libraries_that_tell_of_every_request_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("registry", "info")
    for library in ("swiftclient", "urllib3.connectionpool"):
        logging.getLogger(library).info("RESP STATUS: 200 OK")
        logging.getLogger(library).warning("gave up")
    assert capsys.readouterr().err.count("\n") == 2
    log.configure("registry", "error")
    logging.getLogger("swiftclient").warning("gave up")
    assert capsys.readouterr().err == ""


_WORDS = st.sampled_from(
    [
        *("Authorization", "x-docker-token", "www_authenticate", "Cookie", "wharfinger-session", "grant", "push"),
        *("Signature=", "Basic", "Bearer", "whp_", "?X-Amz-Date=", ";csrf=", "&my.secret=", "?sig=", "&temp_url_sig="),
        *("?key=", "password:", "://a:b@", "reset/", "confirm%2F", ":", "=", "?", "&", ";", "/", " ", "abc", "0123"),
    ]
)


@given(st.lists(_WORDS | st.text(st.characters(max_codepoint=0x17F), max_size=4)).map("".join))
def test_to_look_for_signs_first_leaves_nothing_in(text: str) -> None:
    whole = text
    for pattern, replacement in log._SECRETS:
        whole = pattern.sub(replacement, whole)
    assert log.redact(text) == whole
