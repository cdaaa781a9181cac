"""Commands of `wharfinger-registry` about a store of files."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from registry_service.cli import main


def run(root: Path, *words: str) -> Result:
    """What a command came to; an exception of its own fails the test."""
    settings = {
        "WHARFINGER_REGISTRY_STANDALONE": "true",
        "WHARFINGER_REGISTRY_STORAGE": "filesystem",
        "WHARFINGER_REGISTRY_STORAGE_PATH": str(root),
    }
    done = CliRunner().invoke(main, words, env=settings)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done
