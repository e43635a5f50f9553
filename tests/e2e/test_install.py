"""The chart on a real cluster, with the rights of named namespaces only."""

import json

import pytest

from dev.cluster.errors import CommandError
from dev.stack import product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def confined(solar, stack):
    """The operator with Roles in one namespace and nothing cluster-wide."""
    product.install(stack.cluster, {**stack.values, "watch": {"namespaces": [solar.namespace]}})
    yield solar
    product.install(stack.cluster, stack.values)


@pytest.mark.requirement("C05")
def test_roles_in_named_namespaces_suffice(confined, stack):
    with pytest.raises(CommandError, match="not found"):
        stack.kubectl("get", "clusterrole", "vendorsync")
    confined.apply(confined.vendor())

    result = confined.run()

    assert result["result"] == "Succeeded"
    confined.await_condition("Ready", "True", "Applied")


def test_uninstalling_keeps_the_definition_and_the_resources(solar, stack):
    solar.apply(solar.vendor())
    stack.cluster.helm("uninstall", "vendorsync", "--namespace", product.NAMESPACE, "--wait")
    try:
        names = [item["metadata"]["name"] for item in stack.items("vs", solar.namespace)]
        assert names == [solar.name]
    finally:
        product.install(stack.cluster, stack.values)
    assert json.loads(stack.kubectl("get", "crd", "vendorsyncs.vendorsync.dev", "-o", "json"))
    assert solar.run()["result"] == "Succeeded"
