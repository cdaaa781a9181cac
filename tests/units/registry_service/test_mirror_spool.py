"""A layer on its way, read while it is written: nothing looks complete that is not known to be good."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest

from registry_service.mirror import spool
from registry_service.mirror.spool import Broken, Spool, SpooledLayer


@pytest.fixture
def name():
    return spool.new_name()


def read_all(arriving, offset=0, length=None):
    with arriving.open(offset, length) as reader:
        return b"".join(reader)


def is_there(name):
    return (Path(tempfile.gettempdir()) / name).exists()


@pytest.mark.parametrize(("offset", "length"), [(0, None), (3, None), (2, 4), (0, 1), (9, 1), (5, 100)])
def test_readers_get_all_of_what_is_good_and_the_file_is_gone(name, offset, length):
    writing = Spool(name)
    arriving = SpooledLayer(name, 10, lambda: True)
    writing.write(b"01234")
    assert arriving.has_begun()
    thread = threading.Thread(target=lambda: (writing.write(b"56789"), writing.finish()))
    thread.start()
    stop = None if length is None else offset + length
    assert read_all(arriving, offset, length) == b"0123456789"[offset:stop]
    thread.join()
    assert not is_there(name)


@pytest.mark.parametrize(("offset", "length"), [(0, None), (0, 10), (2, 4), (0, 1)])
def test_the_last_byte_asked_for_waits_until_the_layer_is_known_to_be_good(name, offset, length):
    writing = Spool(name)
    arriving = SpooledLayer(name, 10, lambda: True)
    writing.write(b"0123456789")
    got = []
    give_up_soon(writing)
    with arriving.open(offset, length) as reader, pytest.raises(Broken):
        got.extend(reader)
    stop = len(b"0123456789") if length is None else offset + length
    assert b"".join(got) == b"0123456789"[offset : stop - 1]


def give_up_soon(writing):
    threading.Timer(0.1, writing.give_up).start()


def test_what_is_given_up_breaks_its_readers(name):
    writing = Spool(name)
    arriving = SpooledLayer(name, 10, lambda: True)
    give_up_soon(writing)
    assert not arriving.has_begun()
    with pytest.raises(Broken):
        read_all(arriving)
    with pytest.raises(FileNotFoundError):
        SpooledLayer(name, 10, lambda: True)
    assert not is_there(name)


def test_a_writer_that_died_breaks_its_readers(name):
    writing = Spool(name)
    arriving = SpooledLayer(name, 10, lambda: False)
    assert not arriving.has_begun()
    assert is_there(name)
    spool.discard(name)
    assert not is_there(name)
    writing.give_up()


def test_what_a_killed_process_left_is_swept_after_a_day(name):
    path = Path(tempfile.gettempdir()) / name
    writing = Spool(name)
    spool.sweep()
    assert is_there(name)
    yesterday = path.stat().st_mtime - spool.LEFTOVER_SECONDS - 60
    os.utime(path, (yesterday, yesterday))
    spool.sweep()
    assert not is_there(name)
    writing.give_up()


@pytest.mark.parametrize("name", ["../etc/passwd", "wharfinger-mirror-/../x", "passwd", ""])
def test_only_spools_are_opened(name):
    with pytest.raises(FileNotFoundError):
        SpooledLayer(name, 1, lambda: True)
    with pytest.raises(FileNotFoundError):
        spool.discard(name)


def test_a_spool_is_nobody_elses(name):
    writing = Spool(name)
    assert (Path(tempfile.gettempdir()) / name).stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError):
        Spool(name)
    writing.give_up()
