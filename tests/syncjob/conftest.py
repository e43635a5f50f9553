"""A real PostgreSQL server for the session, a migrated database of its own for each test.

Inputs: none. Outputs: `server`, `empty` (a database without anything), `app` (migrated, with the
run role). Databases are copies of one that was migrated once.
"""

import itertools

import psycopg
import pytest

from dev.database import postgres
from tests.syncjob.builders import RUN_PASSWORD, App

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server():
    with postgres(fast=True) as running:
        yield running


def _urls(server, name: str) -> App:
    return App(server.url(name), server.url(name, "vendorsync_run", RUN_PASSWORD))


def _create(server, template: str) -> App:
    name = f"test_{next(NUMBERS)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return _urls(server, name)


@pytest.fixture(scope="session")
def template(server) -> str:
    server.create_database("migrated")
    urls = _urls(server, "migrated")
    urls.migrate(run_url=urls.run_url)
    return "migrated"


@pytest.fixture
def empty(server) -> App:
    return _create(server, "template0")


@pytest.fixture
def app(server, template) -> App:
    return _create(server, template)
