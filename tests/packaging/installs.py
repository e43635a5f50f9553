"""The commands in a text that install Python packages, as words.

Those of a shell are found in any text. Those of Python are lists or calls that name an installer,
as a word or as a variable or function of that name; names are shown in braces.
"""

import ast
import re

VERBS = frozenset({"install", "wheel", "download", "sync", "add", "inject", "run"})
HARMLESS = frozenset({"check", "config", "list", "freeze", "uninstall", "compile", "hash"})
_SHELL = re.compile(
    r"(?<![\w./-])(?:\S*/)?(?:pip3?|\$\(PIP\)|uv|pipx|poetry|pdm|conda)"
    r"(?: +-\S+)*(?: +pip)?(?: +-\S+)* +(?:install|wheel|download|sync|add|inject|run)(?= |$).*"
)
_END = re.compile(r"&&|\|\||[;|`\"]|\s#\s")
_NAMES = ("pip", "uv", "pipx", "poetry", "pdm", "conda")
_INSTALLERS = frozenset({*_NAMES, *(f"{{{name}}}" for name in _NAMES)})
_HINT = re.compile(r"\b(?:pip3?|PIP|uv|pipx|poetry|pdm|conda)\b")


def commands(text, *, python):
    """Yield the words of each command; with `python` the text is a program in Python."""
    if not _HINT.search(text):
        return
    for line in text.replace("\\\n", " ").splitlines():
        for part in _END.split(line):
            if match := _SHELL.search(part):
                yield tuple(match[0].split())
    if python:
        yield from _in_python(text)


def _in_python(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.List | ast.Tuple):
            words = tuple(map(_word, node.elts))
            if _is_named(words) and (VERBS & set(words) or _is_hidden(words)):
                yield words
        elif isinstance(node, ast.Call):
            words = tuple(map(_word, [node.func, *node.args]))
            if _is_named(words) and VERBS & set(words):
                yield words


def _is_named(words):
    return not _INSTALLERS.isdisjoint(words)


def _is_hidden(words):
    """Tell whether a variable says what is done."""
    last = max(place for place, word in enumerate(words) if word in _INSTALLERS)
    rest = words[last + 1 :]
    return HARMLESS.isdisjoint(rest) and any(word.startswith(("{", "…")) for word in rest)


def _word(node):
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Starred(value=ast.Name(id=name)) | ast.Name(id=name) | ast.Attribute(attr=name):
            return f"{{{name}}}"
        case _:
            return "…"


def resolves(words):
    """Tell whether an index has a say in what is installed, beyond what the words name."""
    if {"--no-deps", "--no-index"}.isdisjoint(words):
        return True
    # A source is built by what its build system wants, which pip would take from an index.
    builds = not {"wheel", "-e", "--editable"}.isdisjoint(words)
    return builds and "--no-build-isolation" not in words


def takes_lock(words):
    """Tell whether what is installed stands in a file."""
    return not {"-r", "--requirement", "--requirements", "sync"}.isdisjoint(words)
