"""Every kind of change in the audit log is recorded by one function, so that a deed has one home for all who do it."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import index_service
from index_service.audit.log import Change

ROOT = Path(index_service.__file__).parent


def recorded():
    """The functions that name each kind of change, as `module.function`."""
    found = defaultdict(set)
    for path in ROOT.rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            for name in ast.walk(node) if isinstance(node, ast.FunctionDef) else ():
                match name:
                    case ast.Attribute(value=ast.Name(id="Change"), attr=change):
                        found[change].add(f"{module}.{node.name}")
    return found


def test_every_change_is_recorded_by_one_function():
    found = recorded()
    assert {name: sorted(functions) for name, functions in found.items() if len(functions) > 1} == {}
    assert found.keys() == {change.name for change in Change}
