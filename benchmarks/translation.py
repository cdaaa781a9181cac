"""`python -m benchmarks.translation`: how fast a layer is examined, in MB of it as stored per second of CPU.

The layer is Python's own library, packed as daemons pack: bytes of a kind that images are full of.
"""

from __future__ import annotations

import argparse
import gzip
import io
import sysconfig
import tarfile
import time
from collections.abc import Callable, Iterator

from registry_service.graph.unpack import Gunzip
from registry_service.oci import layers
from registry_service.storage.driver import BLOCK

_MB = 1000**2


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.translation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=100, help="MB of tar at the most")
    options = parser.parse_args(arguments)
    tar = _library(options.size * _MB)
    stored = gzip.compress(tar, 6)
    print(f"{len(stored) / _MB:.1f} MB stored, {len(tar) / _MB:.1f} MB of tar, MB stored per second of CPU:")
    for name, inflate in (("ISA-L", layers.fast_gunzip()), ("zlib", Gunzip)):
        rates = [len(stored) / _MB / _cpu_seconds(inflate, stored) for _ in range(options.rounds)]
        print(f"  {name:<6} {'  '.join(f'{rate:6.1f}' for rate in rates)}")


def _library(most: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(sysconfig.get_path("stdlib"), "lib", filter=lambda info: info if out.tell() < most else None)
    return out.getvalue()


def _cpu_seconds(inflate: Callable[[], layers.Decompressor], stored: bytes) -> float:
    began = time.process_time()
    layers.examine(_blocks(stored), inflate)
    return time.process_time() - began


def _blocks(content: bytes) -> Iterator[bytes]:
    for at in range(0, len(content), BLOCK):
        yield content[at : at + BLOCK]


if __name__ == "__main__":
    main()
