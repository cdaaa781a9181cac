"""From the name of a driver to the driver, through the entry points `wharfinger.storage` that packages declare.

An entry point leads to a function of two arguments: `storage_path`, the root within the store, and `environ`, from
which a driver loads settings of its own (`common.settings.load`, under its own name: WHARFINGER_S3_BUCKET). It
answers a `Driver`, or raises SettingsError saying in one line what to mend.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType

from common.settings import SettingsError
from registry_service.storage.cache import Cached, Memory
from registry_service.storage.driver import Driver, Offload, directly
from registry_service.storage.guard import Guard

GROUP = "wharfinger.storage"

_NOTHING: Mapping[str, str] = MappingProxyType({})


def create(
    name: str,
    storage_path: str,
    environ: Mapping[str, str] = _NOTHING,
    *,
    redis_url: str = "",
    offload: Offload = directly,
) -> Driver:
    """The driver of that name behind its guard, and behind a memory in Redis if one is given. Raises SettingsError."""
    known = {point.name: point for point in entry_points(group=GROUP)}
    if not known:
        raise SettingsError("no storage driver is installed: install this project (pip install .), not only its code")
    if name not in known:
        raise SettingsError(f"storage {name!r} is unknown; there are: {', '.join(sorted(known))}")
    driver: Driver = known[name].load()(storage_path, environ)
    guarded = Guard(driver, offload)
    # Around the guard, which hands writes to other threads: Redis's sockets belong to the thread that asks.
    return Cached(guarded, Memory(redis_url, f"{name}:{storage_path}")) if redis_url else guarded
