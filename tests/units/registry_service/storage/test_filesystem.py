"""The filesystem driver where it is more than the contract: its start, its stagings, directories it found there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.settings import SettingsError
from registry_service.storage.driver import BadPath, PathNotFound, StorageFailure
from registry_service.storage.filesystem import STAGING, Filesystem
from registry_service.storage.guard import Guard


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_tree_on_disk(tmp_path: Path) -> None:
    driver = Guard(Filesystem(tmp_path))
    driver.put("images/a/json", b"{}")
    driver.create("images/a/_inprogress", b"true")
    with driver.open_writer("images/a/layer") as writer:
        writer.write(b"tar")
        writer.commit()
    assert files_below(tmp_path) == ["images/a/_inprogress", "images/a/json", "images/a/layer"]
    assert (tmp_path / "images/a/layer").read_bytes() == b"tar"


def test_directories_it_found_are_served(tmp_path: Path) -> None:
    (tmp_path / "images/old").mkdir(parents=True)
    (tmp_path / "images/empty").mkdir()
    (tmp_path / "images/old/json").write_bytes(b"{}")
    driver = Guard(Filesystem(tmp_path))
    assert driver.get("images/old/json") == b"{}"
    assert not driver.exists("images/empty")
    with pytest.raises(PathNotFound):
        driver.list("images/empty")
    with pytest.raises(PathNotFound):
        driver.delete("images/empty")
    driver.put("images/empty/json", b"1")
    assert sorted(driver.list("images")) == ["empty", "old"]


def test_staging_is_out_of_reach(tmp_path: Path) -> None:
    driver = Guard(Filesystem(tmp_path))
    for path in (STAGING, f"{STAGING}/x"):
        with pytest.raises(BadPath):
            driver.get(path)
        with pytest.raises(BadPath):
            driver.put(path, b"")
    driver.put(f"{STAGING}x", b"1")
    driver.put(f"a/{STAGING}", b"1")


def test_old_leftovers_are_swept_at_start(tmp_path: Path) -> None:
    staging = tmp_path / STAGING
    (staging / "deleted").mkdir(parents=True)
    (staging / "deleted/layer").write_bytes(b"half deleted")
    (staging / "killed").write_bytes(b"half written")
    (staging / "alive").write_bytes(b"being written")
    two_days_ago = time.time() - 2 * 24 * 3600
    for name in ("deleted", "killed"):
        os.utime(staging / name, (two_days_ago, two_days_ago))
    Filesystem(tmp_path)
    assert files_below(tmp_path) == [f"{STAGING}/alive"]
    Filesystem(tmp_path, leftover_seconds=-1)
    assert files_below(tmp_path) == []


def test_a_sweep_removes_stagings_and_empty_folders_of_writers(tmp_path: Path) -> None:
    driver = Filesystem(tmp_path)
    driver.put("_uploads/a/kept/json", b"1")
    (tmp_path / "_uploads/a/killed").mkdir()
    (tmp_path / "_uploads/b/killed").mkdir(parents=True)
    (tmp_path / "images/empty").mkdir(parents=True)
    (tmp_path / STAGING / "killed").write_bytes(b"half written")
    driver.sweep()
    assert (tmp_path / "_uploads/a/killed").is_dir()
    Filesystem(tmp_path, leftover_seconds=-1)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        *(STAGING, "_uploads", "_uploads/a", "_uploads/a/kept", "_uploads/a/kept/json", "images", "images/empty")
    ]


def test_missing_root_refuses_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        Filesystem(tmp_path / "nowhere")
    assert str(caught.value) == f"storage path {tmp_path}/nowhere is not a directory: create it, or mend the setting"


def test_file_as_root_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError, match="is not a directory"):
        Filesystem(tmp_path / "file")


def opened_by_a_reader(root: Path, reads: str = "") -> str:
    """What a user without the right to write prints, who opens a store and reads a path; root is stopped by none."""
    root.chmod(0o555)
    source = (
        "import os, sys, pathlib\n"
        "from registry_service.storage.filesystem import Filesystem\n"
        "from registry_service.storage.guard import Guard\n"
        "from common.errors import Failure\n"
        "from common.settings import SettingsError\n"
        "os.geteuid() == 0 and os.seteuid(65534)\n"
        "try:\n"
        "    driver = Guard(Filesystem(pathlib.Path(sys.argv[1])))\n"
        "    print(driver.get(sys.argv[2]))\n"
        "    driver.put(sys.argv[2], b'')\n"
        "except (Failure, SettingsError) as error: print(error)\n"
    )
    for parent in root.parents:
        if parent.stat().st_uid == os.geteuid() and "pytest" in str(parent):
            parent.chmod(0o755)
    command = [sys.executable, "-c", source, str(root), reads]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    root.chmod(0o755)
    return done.stdout


def test_unwritable_root_refuses_in_one_line(tmp_path: Path) -> None:
    assert opened_by_a_reader(tmp_path) == (
        f"storage path {tmp_path} cannot be written to (Permission denied): "
        "give this user the right to write there, on a file system with hard links\n"
    )


@pytest.mark.parametrize("has_staging", [True, False])
def test_an_unwritable_root_with_contents_is_read(tmp_path: Path, has_staging: bool) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/json").write_bytes(b"{}")
    if has_staging:
        (tmp_path / STAGING).mkdir()
    printed = opened_by_a_reader(tmp_path, "images/json")
    assert printed == "b'{}'\nfilesystem: storage failed at: images/json: Permission denied\n"


def test_a_staging_that_was_not_there_at_the_start(tmp_path: Path) -> None:
    driver = Guard(Filesystem(tmp_path))
    (tmp_path / STAGING).rmdir()
    driver.put("a", b"1")
    assert driver.get("a") == b"1"


def test_link_to_another_file_system_refuses(tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to("/proc")
    with pytest.raises(SettingsError, match="is not one file system: images is mounted or linked from another"):
        Filesystem(tmp_path)


def test_content_in_the_way_of_a_directory(tmp_path: Path) -> None:
    driver = Guard(Filesystem(tmp_path))
    driver.put("a", b"1")
    with pytest.raises(StorageFailure, match="filesystem: storage failed at: a/b"):
        driver.put("a/b", b"1")
    assert driver.get("a") == b"1"
    assert files_below(tmp_path) == ["a"]


def test_local_path_is_the_file(tmp_path: Path) -> None:
    driver = Guard(Filesystem(tmp_path))
    driver.put("a/b", b"1")
    assert driver.local_path("a/b") == tmp_path / "a/b"


def test_relative_root_survives_a_change_of_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store").mkdir()
    monkeypatch.chdir(tmp_path)
    driver = Guard(Filesystem(Path("store")))
    monkeypatch.chdir("/")
    driver.put("a", b"1")
    assert (tmp_path / "store/a").read_bytes() == b"1"


@pytest.mark.parametrize("way", ["put", "create", "write", "move"])
def test_synced_before_and_after_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """File, then name, then directory, new directories included: a power cut leaves all or nothing."""
    driver = Filesystem(tmp_path)
    driver.put("other/source", b"1")
    synced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def noted(file: int) -> None:
        path = Path(f"/proc/self/fd/{file}").readlink().relative_to(tmp_path)
        kind = STAGING if path.parts[:1] == (STAGING,) else str(path)
        synced.append((kind, (tmp_path / "a/b/layer").exists()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", noted)
    if way == "put":
        driver.put("a/b/layer", b"1")
    elif way == "create":
        driver.create("a/b/layer", b"1")
    elif way == "move":
        driver.move("other/source", "a/b/layer")
    else:
        with driver.open_writer("a/b/layer") as writer:
            writer.write(b"1")
            writer.commit()
    content = [] if way == "move" else [(STAGING, False)]
    source = [("other", True)] if way == "move" else []
    assert synced == [*content, (".", False), ("a", False), ("a/b", True), *source]


def test_deletion_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Filesystem(tmp_path)
    driver.put("a/b", b"1")
    driver.put("a/c", b"1")
    synced: list[Path] = []
    fsync = os.fsync

    def noted(file: int) -> None:
        synced.append(Path(f"/proc/self/fd/{file}").readlink())
        fsync(file)

    monkeypatch.setattr(os, "fsync", noted)
    driver.delete("a/b")
    assert synced == [tmp_path / "a"]
