"""OpenStack Glance, for layers, with another driver for the rest. The entry point leads here."""

from registry_service.storage.glance.driver import from_environ

__all__ = ["from_environ"]
