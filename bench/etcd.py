"""`python -m bench.etcd get PREFIX` and `put`: a plane's etcd, from inside the plane's network.

`get` prints what is stored under a prefix, and `put` stores what it reads: one JSON object a line
with `key` and `value` in base64, as etcd's own JSON gateway has them.
"""

from __future__ import annotations

import itertools
import json
import sys
from base64 import b64decode, b64encode
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HOST: Final = "127.0.0.1"
PORT: Final = 2379
OPERATIONS: Final = 100
"""Of one transaction; etcd takes at most 128."""
SECONDS: Final = 60.0


def get(prefix: bytes) -> Iterator[dict[str, str]]:
    """Yield the keys and values under a prefix."""
    end = prefix[:-1] + bytes([prefix[-1] + 1])
    asked = {"key": b64encode(prefix).decode(), "range_end": b64encode(end).decode()}
    for found in _post("/v3/kv/range", asked).get("kvs", ()):
        yield {"key": found["key"], "value": found["value"]}


def put(lines: Iterable[str]) -> None:
    """Store pairs, many in a transaction."""
    pairs = map(json.loads, lines)
    while batch := list(itertools.islice(pairs, OPERATIONS)):
        answer = _post("/v3/kv/txn", {"success": [{"request_put": pair} for pair in batch]})
        if not answer.get("succeeded"):
            raise RuntimeError(f"etcd stored nothing: {answer}")


def decoded(pair: dict[str, str]) -> tuple[bytes, bytes]:
    """Return the bytes of a pair."""
    return b64decode(pair["key"]), b64decode(pair["value"])


def encoded(key: bytes, value: bytes) -> str:
    """Return the line of a pair."""
    return json.dumps({"key": b64encode(key).decode(), "value": b64encode(value).decode()}) + "\n"


def _post(path: str, body: dict[str, Any]) -> dict[str, Any]:
    connection = HTTPConnection(HOST, PORT, timeout=SECONDS)
    try:
        connection.request("POST", path, json.dumps(body))
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"etcd refuses {path}: {text.decode(errors='replace')[:500]}")
    found: dict[str, Any] = json.loads(text)
    return found


def main() -> None:
    """Get or put."""
    if sys.argv[1] == "put":
        put(sys.stdin)
        return
    for pair in get(sys.argv[2].encode()):
        print(json.dumps(pair))


if __name__ == "__main__":
    main()
