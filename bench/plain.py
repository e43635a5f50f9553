"""`python -m bench.plain SPEC URL ORIGIN CA PATH`: what a run does until its first request, bare.

It reads the run's specification with pydantic, asks the database one thing and sends one request
with httpx. It checks nothing, counts nothing and keeps nothing.
"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import Any

import httpx
import psycopg
from pydantic import BaseModel


class Named(BaseModel):
    """A vendor or an organization of the specification."""

    name: str
    id: int | None = None


class Spec(BaseModel):
    """The specification, as far as a bare script looks at it."""

    vendor: Named
    organization: Named
    credentials: dict[str, Any]
    database: dict[str, Any]


def main(spec: str, url: str, origin: str, ca: str, path: str) -> None:
    """Do it."""
    run = Spec.model_validate_json(Path(spec).read_text(encoding="utf-8"))
    with psycopg.connect(url) as connection:
        connection.execute("SELECT %s::bigint", (run.organization.id,))
    with httpx.Client(base_url=origin, verify=ssl.create_default_context(cafile=ca)) as client:
        client.post(path, json={"page": 1})


if __name__ == "__main__":
    main(*sys.argv[1:])
