"""The worker in a real gunicorn: what it sends, when it gives a client up, and how it answers nonsense."""

from __future__ import annotations

import http.client
import os
import random
import re
import socket
import sys
import time
from contextlib import closing, contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.servers.process import Process, eventually, free_port, listening

ROOT = Path(__file__).resolve().parents[3]
MIB = 1024 * 1024
SIZE = 40 * MIB


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    path = tmp_path_factory.mktemp("sent") / "file"
    path.write_bytes(random.Random(7).randbytes(SIZE))
    return path


@pytest.fixture(scope="module")
def worker(sent):
    port = free_port()
    config = sent.with_name("empty.conf.py")
    config.touch()
    command = [
        *(sys.executable, "-m", "gunicorn", "--config", str(config)),
        *("--worker-class", "registry_service.worker.Worker", "--no-control-socket"),
        *("--bind", f"127.0.0.1:{port}", "--workers", "1", "tests.units.registry_service.sending_app:app"),
    ]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "SENT_FILE": str(sent), "IDLE_SECONDS": "2"}
    with Process("worker", command, sent.parent, environ) as process:
        process.start(lambda: listening(port))
        yield process, port


@contextmanager
def get(port, offset, length, more=""):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with closing(connection):
        connection.request("GET", f"/?offset={offset}&length={length}{more}", headers={"Connection": "close"})
        with connection.getresponse() as response:
            yield response


@pytest.mark.parametrize(("offset", "length"), [(0, SIZE), (1, SIZE - 1), (5 * MIB + 3, 7), (SIZE - 1, 1), (SIZE, 0)])
def test_a_file_arrives_as_it_is(worker, sent, offset, length):
    with get(worker[1], offset, length) as response:
        assert response.read() == sent.read_bytes()[offset : offset + length]


@pytest.mark.parametrize("length", [0, 1, 5 * MIB + 3, SIZE])
def test_bytes_arrive_as_they_are(worker, sent, length):
    with get(worker[1], 0, length, "&at_once=1") as response:
        assert response.read() == sent.read_bytes()[:length]


def test_every_answer_says_what_time_it_is(worker):
    for _ in range(2):
        before = int(time.time())
        with get(worker[1], 0, 1) as response:
            said = parsedate_to_datetime(response.headers["Date"]).timestamp()
        assert before <= said <= time.time()
        assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT", response.headers["Date"])


@pytest.mark.parametrize("more", ["", "&at_once=1"])
def test_a_client_that_reads_slowly_gets_everything(worker, sent, more):
    parts = []
    with get(worker[1], 0, SIZE, more) as response:
        while part := response.read(4 * MIB):
            parts.append(part)
            time.sleep(0.02)
    assert b"".join(parts) == sent.read_bytes()


def test_a_file_shorter_than_announced_cuts_the_connection(worker, sent):
    with get(worker[1], SIZE - 10, 20) as response, pytest.raises(http.client.IncompleteRead) as cut:
        response.read()
    assert cut.value.partial == sent.read_bytes()[-10:]


def test_files_go_out_by_the_system_call(worker):
    process, port = worker
    [pid] = process.children()
    before = written_by(pid)
    with get(port, 0, SIZE) as response:
        response.read()
    # The kernel counts bytes of sendfile() as written by the process, those of send() on a socket it does not.
    assert written_by(pid) - before >= SIZE


def written_by(pid):
    return int(re.search(r"wchar: (\d+)", Path(f"/proc/{pid}/io").read_text(encoding="ascii"))[1])


@pytest.mark.parametrize("chunked", [True, False])
def test_a_client_refused_in_the_middle_of_its_upload_reads_why(worker, chunked):
    """The application answers without having read a byte of 20 MiB."""
    block = b"x" * MIB
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {20 * MIB}"
    with socket.create_connection(("127.0.0.1", worker[1]), timeout=30) as client:
        client.sendall(
            f"PUT /?offset=0&length=5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{framing}\r\n\r\n".encode()
        )
        for _ in range(20):
            client.sendall(b"100000\r\n" + block + b"\r\n" if chunked else block)
        answer = b""
        while part := client.recv(MIB):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_client_that_stands_still_is_let_go(worker):
    with socket.create_connection(("127.0.0.1", worker[1])) as client:
        client.sendall(f"GET /?offset=0&length={SIZE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        eventually(lambda: not is_established(worker[1], client.getsockname()[1]), lambda: "it is still waited for")
        received = 0
        client.settimeout(60)
        try:
            while part := client.recv(MIB):
                received += len(part)
        except ConnectionResetError:
            pass
    assert received < SIZE


def is_established(port, peer):
    """Whether the service's end of a connection has been closed by nobody."""
    ends = f":{port:04X} 0100007F:{peer:04X} 01 "
    return ends in Path("/proc/net/tcp").read_text(encoding="ascii")
