"""The job between proxies: Toxiproxy in front of simulated vendors and of a real PostgreSQL.

Outputs: `toxi`, `clouds` (four Solarman accounts and a Sungrow one), `vendor_proxy` and
`database_proxy` (healthy when a test begins), `app` (a migrated database, empty when a test begins:
what a test alters it puts back, since a database for each would cost more than its run), `job`,
`new_job` (makes one more).
"""

from urllib.parse import urlsplit

import psycopg
import pytest

from dev.building import TOXIPROXY, ensure
from dev.faults import toxiproxy
from dev.simulators import Accounts, simulators
from tests.faults.jobs import FAR, SOUTH, JobInside
from tests.syncjob.builders import RUN_PASSWORD, App
from tests.syncjob.conftest import server, template
from tests.syncjob.jobs import EAST, NORTH, WEST

__all__ = ["server", "template"]


@pytest.fixture(scope="session")
def toxi(request):
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # the first build takes a while, and says so
        ensure(TOXIPROXY)
    with toxiproxy() as running:
        yield running


@pytest.fixture(scope="session")
def all_clouds():
    accounts = Accounts(solarman=(NORTH, EAST, SOUTH, FAR), sungrow=(WEST,))
    with simulators(accounts) as running:
        yield running


@pytest.fixture
def clouds(all_clouds):
    all_clouds.reset()
    yield all_clouds
    all_clouds.set_faults()


@pytest.fixture
def vendor_proxy(toxi, clouds):
    made = toxi.proxy(urlsplit(clouds.solarman_url).netloc)
    yield made
    made.remove()


@pytest.fixture
def database_proxy(toxi, server):
    made = toxi.proxy(f"127.0.0.1:{server.port}")
    yield made
    made.remove()


@pytest.fixture(scope="session")
def shared_app(server, template):
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE shared TEMPLATE {template}")
    return App(server.url("shared"), server.url("shared", "vendorsync_run", RUN_PASSWORD))


@pytest.fixture
def app(shared_app):
    tables = shared_app.rows(
        "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN"
        " ('public', 'vendorsync') AND tablename NOT IN ('applications', 'schema_version')"
    )
    shared_app.do(f"TRUNCATE {', '.join(name for (name,) in tables)} RESTART IDENTITY CASCADE")
    return shared_app


@pytest.fixture
def new_job(app, tmp_path, clouds):
    made = []

    def make(name="job"):
        made.append(JobInside(app, tmp_path / name, clouds))
        return made[-1]

    yield make
    for job in made:
        job.close()


@pytest.fixture
def job(new_job):
    return new_job().lay_out()
