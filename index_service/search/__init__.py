"""Repositories by words."""
