"""Every name of gunicorn and gevent that the workers use though neither project promises to keep it.

`setup.cfg` bounds both to the major version that has these names. Run this after lifting a bound: a failure says which
name is gone or takes other arguments, and which of our modules to mend.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from importlib import metadata
from typing import Any

import gevent.hub
import gevent.socket
import gevent.threadpool
import gunicorn.http.errors
import gunicorn.util
import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http import unreader, wsgi
from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.message import Message, Request
from gunicorn.http.parser import Parser
from gunicorn.workers.base import Worker as BaseWorker
from gunicorn.workers.base_async import AsyncWorker
from gunicorn.workers.ggevent import GeventWorker
from gunicorn.workers.gthread import PollableMethodQueue, TConn, ThreadWorker
from packaging.requirements import Requirement

from index_service.thread_pool import ElasticThreadPool
from index_service.worker import Worker as IndexWorker
from registry_service.chunked import ChunkedBody
from registry_service.worker import SendfileSocket
from registry_service.worker import Worker as RegistryWorker

ACCESS_LOG, INDEX, CLIENT_SOCKET, REGISTRY, CHUNKED, THREAD_POOL = (
    "common/access_log.py",
    "index_service/worker.py",
    "index_service/client_socket.py",
    "registry_service/worker.py",
    "registry_service/chunked.py",
    "index_service/thread_pool.py",
)
CONFIGURATION = "gunicorn.conf.py"

CALLED: list[tuple[str, Any, str, str]] = [
    (ACCESS_LOG, Logger, "access", "self resp req environ request_time"),
    (ACCESS_LOG, BaseWorker, "handle_error", "self req client addr exc"),
    (ACCESS_LOG, Logger, "reopen_files", "self"),
    (INDEX, ThreadWorker, "__init__", "self *args **kwargs"),
    (INDEX, ThreadWorker, "run", "self"),
    (INDEX, ThreadWorker, "handle", "self conn"),
    (INDEX, ThreadWorker, "accept", "self listener"),
    (INDEX, ThreadWorker, "enqueue_req", "self conn"),
    (INDEX, PollableMethodQueue, "defer", "self callback *args"),
    (INDEX, ThreadWorker, "on_client_socket_readable", "self conn client"),
    (INDEX, ThreadWorker, "handle_request", "self req conn"),
    (INDEX, ThreadWorker, "finish_request", "self conn fs"),
    (INDEX, ThreadWorker, "murder_pending", "self"),
    (INDEX, ThreadWorker, "get_thread_pool", "self"),
    (INDEX, ThreadWorker, "notify", "self"),
    (INDEX, TConn, "close", "self graceful"),
    (INDEX, TConn, "init", "self"),
    (INDEX, Request, "force_close", "self"),
    (INDEX, unreader.Unreader, "unread", "self data"),
    (INDEX, unreader.Unreader, "take_buffered", "self"),
    (REGISTRY, GeventWorker, "init_process", "self"),
    (REGISTRY, GeventWorker, "handle_request", "self listener_name req sock addr"),
    (REGISTRY, AsyncWorker, "handle", "self listener client addr"),
    (REGISTRY, Request, "should_close", "self"),
    (REGISTRY, Config, "__getattr__", "self name"),
    (REGISTRY, gunicorn.util, "http_date", "timestamp"),
    (REGISTRY, gevent.hub, "get_hub", ""),
    (REGISTRY, gevent.threadpool.ThreadPool, "apply", "self func args kwds"),
    (REGISTRY, gevent.socket, "wait_write", "fileno timeout timeout_exc event"),
    (REGISTRY, gevent.socket.socket, "sendall", "self data flags"),
    (REGISTRY, gevent.socket.socket, "sendfile", "self file offset count"),
    (CHUNKED, ChunkedReader, "__init__", "self req unreader"),
    (CHUNKED, unreader.Unreader, "read", "self size read_ahead"),
    (CHUNKED, unreader.Unreader, "unread", "self data"),
    (CHUNKED, gunicorn.http.errors, "InvalidChunkSize", "data"),
    (CHUNKED, gunicorn.http.errors, "ChunkMissingTerminator", "term"),
    (CONFIGURATION, gunicorn.util, "write_error", "sock status_int reason mesg"),
]
"""Our module, whose the name is, the name, its parameters."""

ATTRIBUTES: list[tuple[str, Any, str]] = [
    (INDEX, ThreadWorker, "alive cfg keepalived_conns nr_conns poller method_queue tpool worker_connections wsgi"),
    (INDEX, TConn, "client parser sock"),
    (INDEX, Parser, "unreader"),
    (INDEX, Request, "_expected_100_continue"),
    (INDEX, Config, "settings"),
    (REGISTRY, GeventWorker, "cfg log wsgi"),
    (REGISTRY, Config, "settings"),
    (REGISTRY, Body, "failed reader"),
    (REGISTRY, LengthReader, "length"),
    (REGISTRY, Request, "body unreader"),
    (REGISTRY, gevent.socket.socket, "_sock"),
    (REGISTRY, gevent.hub.Hub, "threadpool"),
    (CONFIGURATION, Logger, "error_log error_fmt datefmt"),
    (ACCESS_LOG, wsgi.Response, "sent status"),
]
"""Our module, a class, and attributes that its instances have."""

SETTINGS = (
    "bind child_exit control_socket_disable forwarded_allow_ips graceful_timeout limit_request_field_size "
    "limit_request_fields limit_request_line logger_class on_exit on_starting post_fork post_worker_init threads "
    "worker_connections"
)


@pytest.mark.parametrize(("ours", "owner", "name", "parameters"), CALLED)
def test_what_is_called_or_overridden_takes_what_we_give(ours: str, owner: Any, name: str, parameters: str) -> None:
    there = getattr(owner, name, None)
    assert there is not None, f"{owner.__name__}.{name} is gone: mend {ours}"
    assert list_of_parameters(there) == parameters.split(), f"{owner.__name__}.{name} has changed: mend {ours}"


def list_of_parameters(function: Callable[..., Any]) -> list[str]:
    marks = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    parameters = inspect.signature(function).parameters.values()
    return [marks.get(each.kind, "") + each.name for each in parameters]


@pytest.mark.parametrize(("ours", "owner", "names"), ATTRIBUTES)
def test_what_is_read_or_written_is_there(ours: str, owner: Any, names: str) -> None:
    sources = "".join(inspect.getsource(each) for each in owner.__mro__ if each.__module__.startswith("gunicorn"))
    there = set(dir(owner)) | set(re.findall(r"self\.(\w+)(?:: \w+)? =", sources))
    assert set(names.split()) <= there, f"{owner.__name__} lacks {set(names.split()) - there}: mend {ours}"


def test_gunicorn_has_the_settings_we_set() -> None:
    assert set(SETTINGS.split()) <= Config().settings.keys(), f"mend {CONFIGURATION}"


def test_a_worker_calls_of_its_thread_pool_what_ours_has() -> None:
    called = set(re.findall(r"tpool\.(\w+)\(", inspect.getsource(ThreadWorker)))
    assert called == {"submit", "shutdown"}, f"mend {THREAD_POOL}"
    assert all(hasattr(ElasticThreadPool, name) for name in called)


def test_a_job_is_submitted_as_gunicorn_does() -> None:
    """Ours says besides which jobs are urgent."""
    source = inspect.getsource(ThreadWorker.enqueue_req)
    assert "self.tpool.submit(self.handle, conn)" in source, f"mend {INDEX}"
    assert "self.method_queue.defer(self.finish_request, conn, fut)" in source, f"mend {INDEX}"


def test_a_request_is_read_by_recv_alone() -> None:
    """That `recv` says the stream has ended keeps threads from waiting for clients."""
    assert "self.sock.recv(size)" in inspect.getsource(unreader.SocketUnreader), f"mend {CLIENT_SOCKET}"


def test_every_connection_with_a_request_is_enqueued() -> None:
    """By the one method in which the event loop reads."""
    for method in (ThreadWorker.accept, ThreadWorker.on_client_socket_readable):
        assert "self.enqueue_req(conn)" in inspect.getsource(method), f"mend {INDEX}"


def test_a_head_has_the_bounds_that_a_buffer_has() -> None:
    assert "self.max_buffer_headers = self.limit_request_fields * \\\n            (max_header_field_size + 2) + 4" in (
        inspect.getsource(Message)
    ), f"mend {INDEX}"


def test_the_loop_of_the_index_looks_after_pending_connections() -> None:
    """What lingers is closed where these are; `notify` is where threads are added."""
    loop = inspect.getsource(ThreadWorker.run)
    assert "self.murder_pending()" in loop, f"mend {INDEX}"
    assert "self.notify()" in loop, f"mend {INDEX}"


def test_an_answer_says_the_time_by_the_function_we_replace() -> None:
    assert "util.http_date()" in inspect.getsource(wsgi.Response), f"mend {REGISTRY}"


def test_a_file_is_sent_by_the_socket() -> None:
    assert "self.sock.sendfile(" in inspect.getsource(wsgi.Response.sendfile), f"mend {REGISTRY}"


def test_a_socket_of_gevent_can_be_given_our_class() -> None:
    with gevent.socket.socket() as plain:
        plain.__class__ = SendfileSocket


def test_settings_can_stand_in_the_instance() -> None:
    configuration = Config()
    configuration.__dict__["keepalive"] = 77
    assert configuration.keepalive == 77, f"mend {REGISTRY}"


def test_the_logger_is_told_of_every_request() -> None:
    for method in (ThreadWorker.handle_request, AsyncWorker.handle_request, BaseWorker.handle_error):
        assert "self.log.access(resp, req, environ, request_time)" in inspect.getsource(method), f"mend {ACCESS_LOG}"
    # Of what it could not read as a request it tells nobody.
    assert "if req is not None:" in inspect.getsource(BaseWorker.handle_error), f"mend {ACCESS_LOG}"


def test_a_body_of_ours_stands_in_for_one_of_gunicorn() -> None:
    """What gunicorn reads of a body after the answer, ours has."""
    read = set(re.findall(r"\bbody(?:\.|, \")(\w+)", inspect.getsource(Parser)))
    assert read == {"read", "failed"}, f"mend {CHUNKED}"
    assert all(hasattr(ChunkedBody(unreader.Unreader()), name) for name in read)


def test_both_workers_still_derive_from_these() -> None:
    assert issubclass(IndexWorker, ThreadWorker)
    assert issubclass(RegistryWorker, GeventWorker)


@pytest.mark.parametrize("package", ["gunicorn", "gevent"])
def test_both_are_bounded_to_the_major_version_that_has_these_names(package: str) -> None:
    requirements = map(Requirement, metadata.requires("wharfinger") or ())
    (bound,) = [one.specifier for one in requirements if one.name == package]
    major = int(metadata.version(package).partition(".")[0])
    assert bound.contains(f"{major}.9999")
    assert not bound.contains(f"{major + 1}.0")
