"""A worker with more requests than it can answer in time: some wait, the others are told at once, tokens come first."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from contextlib import ExitStack

import pytest

from index_service.worker import MAX_WAIT_SECONDS
from tests.servers.process import Process, free_port, listening
from tests.servers.services import ROOT, environ_for
from tests.units.index_service import sleeping_app


@pytest.fixture
def port(tmp_path):
    """Where one worker of two threads listens; it is killed at the end, with what still waits."""
    chosen = free_port()
    environ = environ_for("index", {"secret_keys": "k" * 64, "listen": f"127.0.0.1:{chosen}", "workers": "1"})
    environ |= {"WHARFINGER_INDEX_THREADS": "2"}
    command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py")]
    command += [f"{sleeping_app.__name__}:app"]
    process = Process("sleeping", command, tmp_path, environ)
    process.start(lambda: listening(chosen))
    yield chosen
    os.killpg(process.pid, signal.SIGKILL)
    process.stop()


def test_who_would_wait_for_too_long_is_told_when_to_come_again(port):
    heads = {True: b"Authorization: Token signature=a\r\n", False: b""}
    in_time = int(2 * MAX_WAIT_SECONDS / sleeping_app.SECONDS)

    def ask(stack, has_token=False):
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 20))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + heads[has_token] + b"Connection: close\r\n\r\n")
        return client

    with ExitStack() as stack:
        for client in [ask(stack) for _ in range(40)]:
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        waiting = [ask(stack) for _ in range(in_time + 200)]
        began = time.monotonic()
        refusal = waiting[-1].makefile("rb").read()
        assert refusal.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b'{"error": "Too many requests at once; try again later"}' in refusal
        told = re.search(rb"\r\nRetry-After: (\d+)\r\n", refusal)
        # So long as the answers before it will take, measured: on a busy machine each takes longer than it sleeps.
        assert told is not None
        assert MAX_WAIT_SECONDS < int(told[1]) < 10 * MAX_WAIT_SECONDS
        assert ask(stack, has_token=True).recv(100).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - began < MAX_WAIT_SECONDS - 5
        waiting[0].settimeout(20)
        assert waiting[0].recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_ping_waits_for_no_thread(port):
    """All threads are busy with what takes long, and as many requests wait."""
    with ExitStack() as stack:

        def send(data):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 20))
            client.sendall(data)
            return client

        slow = [send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") for _ in range(400)]
        began = time.monotonic()
        for line in (b"GET /v1/_ping", b"GET /_ping", b"HEAD /v1/_ping"):
            ping = line + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            assert send(ping).makefile("rb").read().startswith(b"HTTP/1.1 200 ")
        many = send(b"GET /v1/_ping HTTP/1.1\r\nHost: x\r\n\r\n" * 300 + ping)
        assert many.makefile("rb").read().count(b"HTTP/1.1 200 ") == 301
        assert time.monotonic() - began < sleeping_app.SECONDS * 400 / 2 / 2, "the others have not all been answered"
        slow[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            slow[-1].recv(1)
