"""Repositories: their names, images, tags and history, and the access policy."""
