"""One way for imports to go: no module reaches itself by them, not even for its types alone."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    "vendorsync_api": ROOT / "operator",
    "vendorsync_operator": ROOT / "operator",
    "vendorsync_job": ROOT / "syncjob",
    "dev": ROOT,
    "bench": ROOT,
}
"""Packages and the folder that each is imported from."""


def modules(package):
    """Return the modules of a package: dotted name to file."""
    root = SOURCES[package]
    found = {}
    for path in (root / package).rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path, known):
    """Return the modules of `known` that a file imports, wherever in the file it does so."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if names <= known else {node.module, *names}
    return found & known


def circle(graph):
    """Return the modules of one circle, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


@pytest.mark.parametrize("package", SOURCES)
def test_no_module_reaches_itself_by_imports(package):
    known = modules(package)

    graph = {name: imports(path, known.keys()) for name, path in known.items()}

    assert len(graph) > 1
    assert circle(graph) == []
