"""From the name of a driver to the driver, through the entry points `wharfinger.storage` that packages declare."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Protocol

from common.settings import SettingsError
from registry_service.storage.driver import Driver, Offload, directly
from registry_service.storage.guard import Guard

GROUP = "wharfinger.storage"


class StorageSettings(Protocol):
    """What every driver is chosen by; each reads more for itself."""

    @property
    def storage(self) -> str: ...


def create(settings: StorageSettings, offload: Offload = directly) -> Driver:
    """The driver that the settings name, behind its guard. Raises SettingsError."""
    known = {point.name: point for point in entry_points(group=GROUP)}
    if not known:
        raise SettingsError("no storage driver is installed: install this project (pip install .), not only its code")
    if settings.storage not in known:
        raise SettingsError(f"storage {settings.storage!r} is unknown; there are: {', '.join(sorted(known))}")
    make = known[settings.storage].load()
    return Guard(make(settings), offload)
