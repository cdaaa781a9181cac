"""OpenStack Swift, on floors: account, objects, segments, driver. The entry point leads here."""

from registry_service.storage.swift.driver import from_environ

__all__ = ["from_environ"]
