"""The chart rendered by the real Helm, for any release and values.

Inputs: the helm program, built once into the user's cache. No cluster.
"""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from dev.cluster import toolchain
from dev.cluster.progress import Progress

CHART = Path(__file__).resolve().parents[2] / "charts" / "vendorsync"


@pytest.fixture(scope="session")
def helm():
    binary = toolchain.ensure_binaries((toolchain.HELM,), Progress()) / "helm"

    def run(*arguments, **options):
        command = [binary, *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, **options)

    return run


@pytest.fixture(scope="session")
def template(helm):
    """Render the chart and return Helm's answer; in the name of a value, `__` is a dot."""

    def rendered(release="vendorsync", namespace="vendorsync", *flags, chart=CHART, **values):
        sets = [f"--set-json={key.replace('__', '.')}={json.dumps(v)}" for key, v in values.items()]
        return helm("template", release, chart, f"--namespace={namespace}", *sets, *flags)

    return rendered


@pytest.fixture(scope="session")
def render(template):
    """Render the chart, once for the same values, and return its documents."""
    known = {}

    def rendered(*arguments, **values):
        key = repr((arguments, sorted(values.items())))
        if key not in known:
            answer = template(*arguments, **values)
            assert answer.returncode == 0, answer.stderr
            known[key] = answer.stdout
        return [document for document in yaml.safe_load_all(known[key]) if document]

    return rendered


@pytest.fixture(scope="session")
def refuse(template):
    """Render the chart with values that it refuses, and return Helm's words."""

    def words(*arguments, **values):
        answer = template(*arguments, **values)
        assert answer.returncode != 0, "Helm accepted it"
        return " ".join(answer.stderr.split())

    return words
