"""Modules and functions that fit in the head."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for folder in ("operator", "syncjob", "dev", "bench", "examples")
    for path in (ROOT / folder).rglob("*.py")
)
LINES = 400
"""Of a file."""
STATEMENTS = 40
"""Lines of a function, its docstring left out."""


def named(path):
    return str(path.relative_to(ROOT))


def length(function):
    """Return the lines of a function without its docstring."""
    first = function.body[0]
    docstring = (first.end_lineno - first.lineno + 1) if ast.get_docstring(function) else 0
    return function.end_lineno - function.lineno + 1 - docstring


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_no_file_and_no_function_is_too_long(path):
    text = path.read_text()
    functions = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]

    assert text.count("\n") <= LINES
    assert [each.name for each in functions if length(each) > STATEMENTS] == []
