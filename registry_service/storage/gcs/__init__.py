"""Google Cloud Storage. The entry point leads here."""

from registry_service.storage.gcs.driver import from_environ

__all__ = ["from_environ"]
