"""What is built of many parts names them: nobody counts to the seventh of eighteen."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

import pytest

MOST = 5


@pytest.mark.parametrize("package", ["common", "index_service", "registry_service"])
def test_dataclasses_of_more_than_five_fields_are_built_by_keyword_alone(package):
    root = importlib.import_module(package)
    names = {found.name for found in pkgutil.walk_packages(root.__path__, f"{package}.")}
    # To import a wsgi is to start a service.
    for name in names - {f"{package}.wsgi"}:
        for cls in vars(importlib.import_module(name)).values():
            if dataclasses.is_dataclass(cls) and getattr(cls, "__module__", "") == name:
                fields = dataclasses.fields(cls)
                assert len(fields) <= MOST or all(field.kw_only for field in fields), cls
