"""Planted secrets: wherever the product writes, none of them is found."""

import base64
import hashlib
import json
import re
import subprocess
from urllib.parse import quote

import pytest

from dev.stack import backing, product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PLANTED = {
    "appSecret": "sim-app-secret-north",
    "password": "sim-password-north",
    "wrong password": "sim-planted-wrong-password",
    "userPassword": "sim-password-west",
    "secretKey": "sim-access-key-west-000000000000",
}


def forms(secret):
    """The secret as it is, and as it could stand in a URL, a header or a body."""
    yield secret
    yield quote(secret, safe="")
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
    yield hashlib.sha256(secret.encode()).hexdigest()


@pytest.mark.fault("S2")
def test_planted_secrets_are_in_no_log_status_event_spec_or_row(solar, stack):
    solar.apply(solar.vendor(), solar.vendor("sungrow", "sim-west"))
    solar.run("solarman")
    solar.run("sungrow")
    solar.vendor(credentials={"password": PLANTED["wrong password"]})
    stack.control("POST", "/tokens/expire", json={"vendor": "solarman", "account": "sim-north"})
    solar.run("solarman")

    planted = {
        **PLANTED,
        "database password": backing.read_secret(stack.cluster, backing.NAMESPACE, "database")[
            "run-password"
        ],
        **{
            f"token key {key}": value
            for key, value in backing.read_secret(
                stack.cluster, solar.namespace, "vendorsync-token-keys"
            ).items()
            if key != "current"
        },
    }
    places = {
        "objects": stack.kubectl(
            "get", "vs,cronjobs,jobs,pods,events,configmaps", "-n", solar.namespace, "-o", "json"
        ),
        "operator's objects": stack.kubectl(
            "get", "deployments,jobs,pods,events,configmaps", "-n", product.NAMESPACE, "-o", "json"
        ),
        "operator's log": stack.kubectl(
            "logs", "-n", product.NAMESPACE, "-l=app.kubernetes.io/component=operator", "--tail=-1"
        ),
        "dump": dump(stack),
    }
    pods = stack.items("pods", solar.namespace)
    assert len(pods) >= 2
    for pod in pods:
        name = pod["metadata"]["name"]
        places[f"log of {name}"] = stack.kubectl("logs", "-n", solar.namespace, name)
    assert all(len(text) > 200 for text in places.values()), "a place that is empty proves nothing"

    found = [
        (title, place)
        for title, secret in planted.items()
        for place, text in places.items()
        if any(form in text for form in forms(secret))
    ]
    assert found == []
    stored = [row["token"] for row in stack.query("select token from vendorsync.accounts")]
    assert len([token for token in stored if token and token.startswith("v1:k1:")]) >= 2
    for token in (r"eyJ[\w-]+\.", r"\d+_[0-9a-f]{32}"):
        assert not [place for place, text in places.items() if re.search(token, text)]


def dump(stack):
    """Every table as text."""
    tables = stack.query(
        "select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables"
        " where schemaname in ('public', 'vendorsync')"
    )
    assert len(tables) >= 8
    rows = [
        stack.query(f"select t::text as row from {table['name']} as t")  # noqa: S608
        for table in tables
    ]
    return "\n".join(row["row"] for found in rows for row in found)


def test_the_operator_may_not_read_secrets(stack):
    who = f"system:serviceaccount:{product.NAMESPACE}:vendorsync"
    kubectl = [
        str(stack.cluster.binaries / "kubectl"),
        f"--kubeconfig={stack.cluster.kubeconfig}",
        f"--context={stack.cluster.context}",
    ]
    for verb in ("get", "list", "watch", "create", "patch", "delete"):
        answer = subprocess.run(
            [*kubectl, "auth", "can-i", verb, "secrets", "--all-namespaces", f"--as={who}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert answer.stdout.strip() == "no", verb


def test_job_pods_hold_no_api_token_and_are_restricted(solar, stack):
    solar.apply(solar.vendor())
    spec = solar.await_cron_job()["spec"]["jobTemplate"]["spec"]["template"]["spec"]

    assert spec["automountServiceAccountToken"] is False
    container = spec["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert not any("secretKeyRef" in json.dumps(entry) for entry in container.get("env", ()))
