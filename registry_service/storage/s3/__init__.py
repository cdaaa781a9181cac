"""AWS S3, Ceph, and whatever else speaks as S3 does. The entry point leads here."""

from registry_service.storage.s3.driver import from_environ

__all__ = ["from_environ"]
